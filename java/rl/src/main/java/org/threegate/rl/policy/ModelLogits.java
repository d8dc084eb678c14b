package org.threegate.rl.policy;

import java.nio.file.Path;
import java.util.SplittableRandom;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * The logits of a model on random tokens, which tell whether two models compute the same function.
 *
 * <pre>{@code
 * ModelLogits before = ModelLogits.of(context, Path.of("base"), 0);
 * ModelLogits after = ModelLogits.of(context, Path.of("base-rotated"), 0);
 * System.out.println("relative change of the logits: " + before.distance(after));
 * }</pre>
 */
public final class ModelLogits {
  /** Number of tokens. Attention then covers many positions, and a step takes little time. */
  public static final int TOKENS = 24;

  private final Path model;
  private final float[] values;

  private ModelLogits(Path model, float[] values) {
    this.model = model;
    this.values = values;
  }

  /**
   * {@return the bytes that the parameters of a model take in float32}
   *
   * @param model directory of a model
   * @throws InvalidInputException if the model is of an unsupported family
   */
  public static double bytes(Path model) {
    return Float.BYTES
        * DecoderConfig.read(model).parameters().values().stream()
            .mapToDouble(
                shape -> shape.stream().mapToDouble(Long::doubleValue).reduce(1, (a, b) -> a * b))
            .sum();
  }

  /**
   * Runs a model in float32 on random tokens.
   *
   * @param context context that maps the files
   * @param model directory of a model
   * @param seed seed of the tokens
   * @return the logits of all tokens
   * @throws InvalidInputException if {@link Decoder#load} cannot load the model
   */
  public static ModelLogits of(Context context, Path model, long seed) {
    try (Decoder decoder = Decoder.load(context, model)) {
      DecoderConfig config = decoder.config();
      long[] tokens =
          new SplittableRandom(seed)
              .longs(Math.min(TOKENS, config.positions()), 0, config.vocabulary())
              .toArray();
      float[][] values = new float[1][];
      Scopes.run(
          () ->
              values[0] =
                  Tensors.floats(
                      Scopes.keepWithoutGradient(
                          () ->
                              decoder.logits(
                                  Tensors.of(tokens, 1, tokens.length),
                                  torch.ones(1, tokens.length).to(ScalarType.Bool)))));
      return new ModelLogits(model, values[0]);
    }
  }

  /**
   * {@return ‖other − this‖₂ / ‖this‖₂; NaN if these logits are all zero or a logit is not finite}
   *
   * @param other logits of another model with the same vocabulary and the same seed
   */
  public double distance(ModelLogits other) {
    if (values.length != other.values.length) {
      throw new InvalidInputException(other.model + ": has another number of logits than " + model);
    }
    double squares = 0;
    double all = 0;
    for (int i = 0; i < values.length; i++) {
      double difference = (double) other.values[i] - values[i];
      squares += difference * difference;
      all += (double) values[i] * values[i];
    }
    return Math.sqrt(squares) / Math.sqrt(all);
  }
}
