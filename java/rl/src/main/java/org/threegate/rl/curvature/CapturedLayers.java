package org.threegate.rl.curvature;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.Predicate;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorVector;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.LinearSample;
import org.threegate.rl.policy.Padded;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.Tensors;

/**
 * The inputs of linear layers on some texts, and the gradients of log-likelihoods with respect to
 * their outputs. The Fisher information of each layer is computed from these rows.
 *
 * <pre>{@code
 * try (CapturedLayers layers =
 *     CapturedLayers.of(
 *         decoder, List.of(new CapturedLayers.Text(new int[] {5, 6, 7}, 1)), name -> true, false, 1)) {
 *   System.out.println(layers.sequences().length + " tokens");
 * }
 * }</pre>
 */
public final class CapturedLayers implements AutoCloseable {
  /**
   * A text.
   *
   * @param tokens the token ids, 2 or more
   * @param given the number of leading tokens that are not predicted, 1 or more
   */
  public record Text(int[] tokens, int given) {
    /**
     * Checks the number of given tokens.
     *
     * @throws IllegalArgumentException when it is not from 1 to the number of tokens minus 1
     */
    public Text {
      if (given < 1 || tokens.length <= given) {
        throw new IllegalArgumentException(
            "given must be from 1 to "
                + (tokens.length - 1)
                + " with "
                + tokens.length
                + " tokens, but is "
                + given);
      }
    }

    int predicted() {
      return tokens.length - given;
    }
  }

  /**
   * The rows of one layer, one per predicted token, float32.
   *
   * @param input the inputs, [tokens, inputs]
   * @param gradient the gradients with respect to the outputs, [tokens, outputs]
   */
  public record Rows(Tensor input, Tensor gradient) {}

  private final Map<String, Rows> layers;
  private final long[] sequences;

  private CapturedLayers(Map<String, Rows> layers, long[] sequences) {
    this.layers = layers;
    this.sequences = sequences;
  }

  /**
   * Captures layers.
   *
   * @param model the model
   * @param texts the texts
   * @param selected selects layers by the names of their weights
   * @param empirical whether labels are the next tokens of the texts (the empirical Fisher
   *     information). Otherwise the model samples them (the true Fisher information)
   * @param seed the seed of sampled labels
   * @return the captured layers
   */
  public static CapturedLayers of(
      Decoder model, List<Text> texts, Predicate<String> selected, boolean empirical, long seed) {
    if (texts.isEmpty()) {
      throw new IllegalArgumentException("texts must not be empty");
    }
    texts.forEach(text -> model.requireTokens(text.tokens()));
    Map<String, Rows> layers = new LinkedHashMap<>();
    Scopes.run(
        () -> {
          Map<String, List<Tensor>> inputs = new LinkedHashMap<>();
          Map<String, List<Tensor>> gradients = new LinkedHashMap<>();
          List<Tensor> parts = new ArrayList<>();
          SplittableRandom random = new SplittableRandom(seed);
          for (Text text : texts) {
            SplittableRandom own = random.split();
            Scopes.run(
                () -> {
                  for (LinearSample sample : sample(model, text, selected, empirical, own)) {
                    add(inputs, sample.weight(), sample.input(), text, parts);
                    add(gradients, sample.weight(), sample.gradient(), text, parts);
                  }
                });
          }
          for (String name : inputs.keySet()) {
            layers.put(name, new Rows(joined(inputs.get(name)), joined(gradients.get(name))));
          }
          parts.forEach(Tensor::close);
        });
    long[] sequences = new long[texts.stream().mapToInt(Text::predicted).sum()];
    int at = 0;
    for (int number = 0; number < texts.size(); number++) {
      int end = at + texts.get(number).predicted();
      Arrays.fill(sequences, at, end, number);
      at = end;
    }
    return new CapturedLayers(layers, sequences);
  }

  private static void add(
      Map<String, List<Tensor>> all, String weight, Tensor values, Text text, List<Tensor> parts) {
    Tensor rows =
        values.select(0, 0).narrow(0, text.given() - 1, text.predicted()).to(ScalarType.Float);
    Tensor copy = rows.clone();
    copy.retainReference();
    parts.add(copy);
    all.computeIfAbsent(weight, name -> new ArrayList<>()).add(copy);
  }

  /** Returns a copy that no scope frees. */
  private static Tensor joined(List<Tensor> parts) {
    Tensor all = torch.cat(new TensorVector(parts.toArray(new Tensor[0])), 0);
    all.retainReference();
    return all;
  }

  private static List<LinearSample> sample(
      Decoder model,
      Text text,
      Predicate<String> selected,
      boolean empirical,
      SplittableRandom random) {
    int count = text.tokens().length - 1;
    Padded row = Padded.right(List.of(Arrays.copyOf(text.tokens(), count)), count, 0);
    return LinearSample.of(
        model,
        row,
        selected,
        logits -> {
          Tensor all =
              logits.select(0, 0).narrow(0, text.given() - 1, text.predicted()).log_softmax(-1);
          long[] labels =
              empirical
                  ? Arrays.stream(text.tokens()).skip(text.given()).asLongStream().toArray()
                  : drawn(all, random);
          return all.gather(1, Tensors.of(labels, labels.length, 1)).sum();
        });
  }

  /** Samples a token at each position from the probabilities of the model. */
  private static long[] drawn(Tensor logProbabilities, SplittableRandom random) {
    int vocabulary = (int) logProbabilities.size(1);
    float[] values = Tensors.floats(logProbabilities);
    long[] labels = new long[values.length / vocabulary];
    for (int i = 0; i < labels.length; i++) {
      double sum = 0;
      for (int j = 0; j < vocabulary; j++) {
        sum += Math.exp(values[i * vocabulary + j]);
      }
      double place = random.nextDouble() * sum;
      int label = 0;
      double passed = Math.exp(values[i * vocabulary]);
      while (passed <= place && label < vocabulary - 1) {
        label++;
        passed += Math.exp(values[i * vocabulary + label]);
      }
      labels[i] = label;
    }
    return labels;
  }

  /** {@return the rows by the names of weights, in the order of the model} */
  public Map<String, Rows> layers() {
    return Collections.unmodifiableMap(layers);
  }

  /** {@return the index of the text of each row} */
  public long[] sequences() {
    return sequences.clone();
  }

  @Override
  public void close() {
    layers
        .values()
        .forEach(
            rows -> {
              rows.input().close();
              rows.gradient().close();
            });
  }
}
