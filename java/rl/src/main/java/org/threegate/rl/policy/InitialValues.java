package org.threegate.rl.policy;

import java.util.List;
import java.util.SplittableRandom;

/**
 * The values of a decoder before training. Norms change nothing, biases and sinks are 0, and
 * matrices are normal. Matrices that write into the residual stream are scaled down by √(2 ·
 * layers), as in GPT-2. Memories of gated delta rules decay at the rates of transformers.
 *
 * @param config the shape of the model
 * @param deviation the standard deviation of the matrices
 */
record InitialValues(DecoderConfig config, double deviation) {
  private static final double LEAST_DECAY = 0.01;
  private static final double MOST_DECAY = 16;

  /** Draws the values of a parameter. */
  float[] of(String name, List<Long> shape, SplittableRandom random) {
    float[] values = new float[Math.toIntExact(shape.stream().reduce(1L, Math::multiplyExact))];
    boolean decays = name.endsWith(Mixer.DeltaRule.DECAY);
    boolean drawn = shape.size() > 1 && !name.endsWith("_bias");
    double own = deviation(name);
    float constant = constant(name);
    for (int i = 0; i < values.length; i++) {
      if (decays) {
        values[i] = (float) Math.log(random.nextDouble(LEAST_DECAY, MOST_DECAY));
      } else {
        values[i] = drawn ? (float) (own * random.nextGaussian()) : constant;
      }
    }
    return values;
  }

  private double deviation(String name) {
    boolean writes =
        name.contains("o_proj.") || name.contains("down_proj") || name.contains("out_proj.");
    return writes ? deviation / Math.sqrt(2.0 * config.layers().size()) : deviation;
  }

  private float constant(String name) {
    if (name.endsWith(Mixer.DeltaRule.STEP)
        || name.endsWith(Mixer.DeltaRule.PREFIX + "norm.weight")) {
      return 1;
    }
    return name.endsWith("norm.weight") ? config.norm().kind().neutral() : 0;
  }
}
