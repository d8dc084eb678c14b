package org.threegate.rl.policy;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.List;
import org.threegate.checkpoint.JsonFields;
import org.threegate.run.InvalidInputException;

/**
 * Rotary position embeddings (arXiv 2104.09864) and their extensions to longer contexts. Names and
 * formulas follow {@code modeling_rope_utils} of transformers.
 *
 * <pre>{@code
 * Rotary rotary = new Rotary(Rotary.Extension.DYNAMIC, 10000, 2, 1, 4, 32, 1, 2048, 1, false, Rotary.Factors.NONE);
 * double[] angles = rotary.frequencies(64, 3000);
 * }</pre>
 *
 * @param extension the extension to longer contexts
 * @param base the base of the frequencies ({@code rope_theta})
 * @param factor the factor by which the context is extended
 * @param lowFactor llama3: wavelengths above {@code original / lowFactor} are stretched
 * @param highFactor llama3: wavelengths below {@code original / highFactor} are unchanged
 * @param fast yarn: frequencies with at least this many rotations over the original context are
 *     unchanged ({@code beta_fast})
 * @param slow yarn: frequencies with at most this many rotations are stretched ({@code beta_slow})
 * @param original the number of positions before the extension
 * @param scale the factor of cosines and sines ({@code attention_factor})
 * @param exact yarn: whether the bounds of the ramp are not rounded to whole dimensions
 * @param factors longrope: the factors of the wavelengths
 */
public record Rotary(
    Extension extension,
    double base,
    double factor,
    double lowFactor,
    double highFactor,
    double fast,
    double slow,
    int original,
    double scale,
    boolean exact,
    Factors factors) {
  /** The supported extensions to longer contexts. */
  public enum Extension {
    /** No extension. */
    DEFAULT,
    /** All wavelengths are stretched by the factor. */
    LINEAR,
    /** Long wavelengths are stretched, short ones are not, and those between are interpolated. */
    LLAMA3,
    /** YaRN (arXiv 2309.00071). */
    YARN,
    /** Dynamic NTK scaling: the base grows with a sequence that is longer than the original. */
    DYNAMIC,
    /**
     * LongRoPE (arXiv 2402.13753): each wavelength has a factor, and another one in sequences that
     * are longer than the original.
     */
    LONGROPE;

    private static Extension of(String label, String where) {
      return switch (label) {
        case "default" -> DEFAULT;
        case "linear" -> LINEAR;
        case "llama3" -> LLAMA3;
        case "yarn" -> YARN;
        case "dynamic" -> DYNAMIC;
        case "longrope" -> LONGROPE;
        default ->
            throw new InvalidInputException(
                where
                    + ": rope_type \""
                    + label
                    + "\" is not supported; default, linear, dynamic, llama3, longrope and yarn are");
      };
    }
  }

  /**
   * The factors of the wavelengths of LongRoPE, one for each pair of dimensions.
   *
   * @param shorter the factors up to the original length ({@code short_factor})
   * @param longer the factors beyond it ({@code long_factor})
   */
  public record Factors(List<Double> shorter, List<Double> longer) {
    /** No factors. */
    public static final Factors NONE = new Factors(List.of(), List.of());

    /** Copies the lists. */
    public Factors {
      shorter = List.copyOf(shorter);
      longer = List.copyOf(longer);
    }

    private static Factors parse(JsonFields fields, int pairs) {
      return new Factors(parse(fields, "short_factor", pairs), parse(fields, "long_factor", pairs));
    }

    private static List<Double> parse(JsonFields fields, String name, int pairs) {
      JsonNode list = fields.value(name);
      List<Double> factors = new ArrayList<>();
      if (list.isArray() && list.size() == pairs) {
        for (JsonNode value : list) {
          if (value.isNumber()
              && value.doubleValue() >= 1 / MOST_FACTOR
              && value.doubleValue() <= MOST_FACTOR) {
            factors.add(value.doubleValue());
          }
        }
      }
      if (factors.size() != pairs || pairs == 0) {
        throw fields.refused(
            name, "a list of " + pairs + " numbers from " + 1 / MOST_FACTOR + " to " + MOST_FACTOR);
      }
      return factors;
    }
  }

  /** The field with the parameters of the embeddings. */
  static final String PARAMETERS = "rope_parameters";

  private static final String PARTIAL = "partial_rotary_factor";
  private static final double FAST = 32;
  private static final double LEAST_BASE = 2;
  private static final double MOST_BASE = 1e15;
  private static final double MOST_FACTOR = 1e6;

  /**
   * Validates the parameters.
   *
   * @throws IllegalArgumentException when one of them is out of its range
   */
  public Rotary {
    if (!(base > 1 && factor > 0 && fast > 0 && slow > 0 && original > 0 && scale > 0)
        || !Double.isFinite(base * factor * fast * slow * scale)) {
      throw new IllegalArgumentException(
          "base must be above 1, and factor, fast, slow, original and scale above 0");
    }
    if (extension == Extension.LLAMA3 && !(lowFactor > 0 && highFactor > lowFactor)) {
      throw new IllegalArgumentException(
          "low_freq_factor " + lowFactor + " must be below high_freq_factor " + highFactor);
    }
  }

  /**
   * Where the base of the frequencies is found, if the parameters of the embeddings have none.
   *
   * @param field the field of the configuration
   * @param otherwise the base, if there is no such field
   */
  record Base(String field, double otherwise) {
    private double of(JsonFields own, JsonFields config) {
      String name = "rope_theta";
      return (own.has(name) ? own : config)
          .number(own.has(name) ? name : field, LEAST_BASE, MOST_BASE)
          .orElse(otherwise);
    }
  }

  /** {@return the parameters of the embeddings, in the field of newer or of older files} */
  static JsonFields parameters(JsonFields config) {
    return config.object(config.has(PARAMETERS) ? PARAMETERS : "rope_scaling");
  }

  /**
   * Returns the number of dimensions of a head that the embeddings turn.
   *
   * @param own the parameters of the embeddings
   * @param share the share of them, if the configuration has none
   * @param supported whether other shares than 1 are supported
   * @throws InvalidInputException when the number is not even, or not supported
   */
  static int rotated(
      JsonFields own, JsonFields config, int headDimension, double share, boolean supported) {
    double partial = (own.has(PARTIAL) ? own : config).number(PARTIAL, 0, 1).orElse(share);
    if (partial != 1 && !supported) {
      throw new InvalidInputException(
          config.where() + ": partial_rotary_factor " + partial + " is not supported");
    }
    int rotated = (int) (headDimension * partial);
    if (rotated < 2 || rotated % 2 != 0) {
      throw new InvalidInputException(
          config.where()
              + ": partial_rotary_factor "
              + partial
              + " turns "
              + rotated
              + " dimensions of a head of "
              + headDimension
              + "; it must be an even number from 2");
    }
    return rotated;
  }

  /**
   * Reads the embeddings from a configuration.
   *
   * @param own the parameters of the embeddings
   * @param theta where the base is found, if they have none
   * @param positions the maximal number of positions
   * @param rotated the dimensions of a head that are turned
   * @throws InvalidInputException when the extension is not supported or a value is invalid
   */
  static Rotary parse(JsonFields own, JsonFields config, Base theta, int positions, int rotated) {
    String type = own.text("rope_type").or(() -> own.text("type")).orElse("default");
    double base = theta.of(own, config);
    Extension extension = Extension.of(type, config.where());
    // Dynamic scaling begins where the positions of the model end.
    int original = extension == Extension.DYNAMIC ? positions : original(own, config, positions);
    double factor =
        factor(
            own,
            "factor",
            switch (extension) {
              case YARN, LONGROPE -> (double) positions / original;
              case DEFAULT, LINEAR, LLAMA3, DYNAMIC -> 1;
            });
    if (extension == Extension.DYNAMIC && factor < 1) {
      throw own.refused("factor", "1 or more with dynamic scaling");
    }
    double low = factor(own, "low_freq_factor", 1);
    double high = factor(own, "high_freq_factor", 4);
    if (extension == Extension.LLAMA3 && low >= high) {
      throw own.refused("low_freq_factor", "below high_freq_factor " + high);
    }
    return new Rotary(
        extension,
        base,
        factor,
        low,
        high,
        factor(own, "beta_fast", FAST),
        factor(own, "beta_slow", 1),
        original,
        switch (extension) {
          case YARN -> scale(own, factor);
          case LONGROPE -> factor(own, "attention_factor", longScale(factor, original));
          case DEFAULT, LINEAR, LLAMA3, DYNAMIC -> 1;
        },
        !own.flag("truncate", true),
        extension == Extension.LONGROPE ? Factors.parse(own, rotated / 2) : Factors.NONE);
  }

  /** The number outside the parameters counts first, as in transformers. */
  private static int original(JsonFields own, JsonFields config, int positions) {
    String name = "original_max_position_embeddings";
    return (config.has(name) ? config : own).integer(name, 1, Integer.MAX_VALUE).orElse(positions);
  }

  /** Returns the default of LongRoPE's {@code attention_factor}. */
  private static double longScale(double factor, int original) {
    return factor <= 1 || original == 1 ? 1 : Math.sqrt(1 + Math.log(factor) / Math.log(original));
  }

  private static double factor(JsonFields fields, String name, double otherwise) {
    return fields.number(name, 1 / MOST_FACTOR, MOST_FACTOR).orElse(otherwise);
  }

  private static double scale(JsonFields own, double factor) {
    if (own.has("attention_factor")) {
      return factor(own, "attention_factor", 1);
    }
    double all = own.number("mscale_all_dim", 0, MOST_FACTOR).orElse(0);
    double each = own.number("mscale", 0, MOST_FACTOR).orElse(0);
    return each != 0 && all != 0
        ? logarithmic(factor, each) / logarithmic(factor, all)
        : logarithmic(factor, 1);
  }

  private static double logarithmic(double factor, double weight) {
    return factor <= 1 ? 1 : 0.1 * weight * Math.log(factor) + 1;
  }

  /** {@return whether the frequencies depend on the length of a sequence} */
  public boolean dependsOnLength() {
    return extension == Extension.DYNAMIC || extension == Extension.LONGROPE;
  }

  /**
   * {@return the frequency of each pair of dimensions of a head, in radians per position}
   *
   * @param headDimension the dimensions of a head that are turned, an even number
   * @param length the number of tokens of the sequence so far
   */
  public double[] frequencies(int headDimension, long length) {
    double[] frequencies = new double[headDimension / 2];
    double grown = base(headDimension, length);
    for (int i = 0; i < frequencies.length; i++) {
      double plain = Math.pow(grown, -2.0 * i / headDimension);
      frequencies[i] =
          switch (extension) {
            case LINEAR -> plain / factor;
            case LLAMA3 -> stretched(plain);
            case YARN -> ramped(plain, i, headDimension);
            case LONGROPE ->
                plain / (length > original ? factors.longer() : factors.shorter()).get(i);
            case DEFAULT, DYNAMIC -> plain;
          };
    }
    return frequencies;
  }

  /** Returns the base for a length, which only dynamic scaling changes. */
  private double base(int headDimension, long length) {
    if (extension != Extension.DYNAMIC || length <= original || headDimension == 2) {
      return base;
    }
    double growth = factor * length / original - (factor - 1);
    return base * Math.pow(growth, headDimension / (headDimension - 2.0));
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

  /** Returns the dimension that performs a given number of rotations over the original context. */
  private double dimensionOf(double rotations, int headDimension) {
    return headDimension * Math.log(original / (rotations * 2 * Math.PI)) / (2 * Math.log(base));
  }
}
