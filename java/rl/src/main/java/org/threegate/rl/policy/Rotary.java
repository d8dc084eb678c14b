package org.threegate.rl.policy;

import com.fasterxml.jackson.databind.JsonNode;
import org.threegate.checkpoint.InvalidInputException;

/**
 * Rotary position embeddings (arXiv 2104.09864) and their extensions to longer sequences, as
 * transformers names them: {@code default}, {@code linear}, {@code llama3}, {@code yarn} (arXiv
 * 2309.00071) and {@code dynamic} as far as it is the default one.
 *
 * <pre>{@code
 * Rotary rotary = new Rotary("default", 10000, 1, 1, 4, 32, 1, 2048, 1, false);
 * double[] angles = rotary.frequencies(64);
 * }</pre>
 *
 * @param type as above
 * @param base theta
 * @param factor by which sequences are longer
 * @param lowFactor llama3: wavelengths beyond {@code original / lowFactor} are stretched
 * @param highFactor llama3: those below {@code original / highFactor} are not
 * @param fast yarn: rotations over the original length from which on a frequency is left alone
 * @param slow yarn: rotations up to which it is stretched
 * @param original positions before the extension
 * @param scale of cosines and sines
 * @param exact yarn: the bounds of the ramp are not rounded to whole dimensions
 */
public record Rotary(
    String type,
    double base,
    double factor,
    double lowFactor,
    double highFactor,
    double fast,
    double slow,
    int original,
    double scale,
    boolean exact) {
  private static final double FAST = 32;

  /**
   * @param where the file, for errors
   * @throws InvalidInputException for an extension that is not there
   */
  static Rotary parse(JsonNode config, int positions, String where) {
    JsonNode node =
        config.path("rope_parameters").isObject()
            ? config.path("rope_parameters")
            : config.path("rope_scaling");
    String type = node.path("rope_type").asText(node.path("type").asText("default"));
    double base = node.path("rope_theta").asDouble(config.path("rope_theta").asDouble(10000));
    double partial =
        node.path("partial_rotary_factor")
            .asDouble(config.path("partial_rotary_factor").asDouble(1));
    switch (type) {
      case "default", "linear", "llama3", "yarn", "dynamic" -> {}
      default ->
          throw new InvalidInputException(
              where
                  + ": rope_type \""
                  + type
                  + "\" is not supported; default, linear, dynamic, llama3 and yarn are");
    }
    if (partial != 1) {
      throw new InvalidInputException(
          where + ": partial_rotary_factor " + partial + " is not supported");
    }
    double factor = node.path("factor").asDouble(1);
    return new Rotary(
        type,
        base,
        factor,
        node.path("low_freq_factor").asDouble(1),
        node.path("high_freq_factor").asDouble(4),
        node.path("beta_fast").asDouble(FAST),
        node.path("beta_slow").asDouble(1),
        node.path("original_max_position_embeddings")
            .asInt(config.path("original_max_position_embeddings").asInt(positions)),
        type.equals("yarn") ? scale(node, factor) : 1,
        !node.path("truncate").asBoolean(true));
  }

  private static double scale(JsonNode node, double factor) {
    if (node.path("attention_factor").isNumber()) {
      return node.path("attention_factor").asDouble();
    }
    double all = node.path("mscale_all_dim").asDouble(0);
    double own = node.path("mscale").asDouble(0);
    return own != 0 && all != 0
        ? logarithmic(factor, own) / logarithmic(factor, all)
        : logarithmic(factor, 1);
  }

  private static double logarithmic(double factor, double weight) {
    return factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;
  }

  /** Radians a position, of each pair of a head's dimensions. */
  public double[] frequencies(int headDimension) {
    double[] frequencies = new double[headDimension / 2];
    for (int i = 0; i < frequencies.length; i++) {
      double plain = Math.pow(base, -2.0 * i / headDimension);
      frequencies[i] =
          switch (type) {
            case "linear" -> plain / factor;
            case "llama3" -> stretched(plain);
            case "yarn" -> ramped(plain, i, headDimension);
            default -> plain;
          };
    }
    return frequencies;
  }

  private double stretched(double plain) {
    double length = 2 * Math.PI / plain;
    if (length < original / highFactor) {
      return plain;
    }
    if (length > original / lowFactor) {
      return plain / factor;
    }
    double kept = (original / length - lowFactor) / (highFactor - lowFactor);
    return (1 - kept) * plain / factor + kept * plain;
  }

  private double ramped(double plain, int pair, int headDimension) {
    double low = dimensionOf(fast, headDimension);
    double high = dimensionOf(slow, headDimension);
    if (!exact) {
      low = Math.floor(low);
      high = Math.ceil(high);
    }
    low = Math.max(low, 0);
    high = Math.min(high, headDimension - 1.0);
    if (low == high) {
      high += 0.001;
    }
    double stretch = Math.min(1, Math.max(0, (pair - low) / (high - low)));
    return plain / factor * stretch + plain * (1 - stretch);
  }

  /** Where a pair of dimensions turns so many times over the original length. */
  private double dimensionOf(double rotations, int headDimension) {
    return headDimension * Math.log(original / (rotations * 2 * Math.PI)) / (2 * Math.log(base));
  }
}
