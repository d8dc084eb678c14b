package org.threegate.analysis.statistics;

import java.util.Arrays;
import java.util.function.DoubleUnaryOperator;
import java.util.stream.IntStream;
import org.apache.commons.numbers.gamma.Erf;
import org.apache.commons.numbers.gamma.Erfc;

/**
 * The effect of rounding to bf16 on a Gaussian update of a bf16 matrix, in closed form. Corollary
 * 3.6 of arXiv 2511.08567 states when a weight changes; the expectations are derived by this
 * project. They depend only on how many entries have each bf16 magnitude code, which determines the
 * spacing of representable values.
 *
 * <pre>{@code
 * long[] codes = new long[32768];
 * codes[0x3c80] = 1000; // entries of 2^-6
 * double deviation = RoundTrip.deviation(codes, 1e-6);
 * System.out.println("unchanged: " + RoundTrip.unchanged(codes, deviation).mean());
 * }</pre>
 */
public final class RoundTrip {
  private static final int MANTISSA_BITS = 7;
  private static final int BIAS = 127;
  private static final int INFINITY_CODE = 0x7f80;
  private static final double ROOT_TWO = Math.sqrt(2);

  /**
   * From this ratio of deviation to spacing on, Σ k² P(k) of rounded normal numbers is s² + 1/12 to
   * 1e-8.
   */
  private static final double SMOOTH = 1;

  private RoundTrip() {}

  /**
   * {@return the standard deviation of the Gaussian update whose expected sum of squares after
   * rounding is the given one}
   *
   * @param codes number of entries by bf16 magnitude code
   * @param squares sum of squares ‖ΔW‖_F² to match
   */
  public static double deviation(long[] codes, double squares) {
    return deviation(IntStream.range(0, codes.length).toArray(), codes, squares);
  }

  /**
   * {@return the standard deviation of the Gaussian update whose expected sum of squares after
   * rounding is the given one}
   *
   * @param codes bf16 magnitude codes that entries have
   * @param counts number of entries with each of them
   * @param squares sum of squares ‖ΔW‖_F² to match
   */
  public static double deviation(int[] codes, long[] counts, double squares) {
    Exponents entries = Exponents.of(codes, counts);
    long all = entries.count();
    if (squares == 0 || all == 0) {
      return 0;
    }
    // Rounding can increase or decrease the sum. The brackets are safe: far below squares/entries
    // no entry changes, and a thousand times above all entries change.
    double high = Math.sqrt(squares / all);
    while (entries.expectedSquares(high) < squares) {
      high *= 2;
    }
    double low = high / 2;
    while (entries.expectedSquares(low) > squares) {
      low /= 2;
    }
    for (int i = 0; i < 60 && low < high * (1 - 1e-12); i++) {
      double middle = (low + high) / 2;
      if (entries.expectedSquares(middle) < squares) {
        low = middle;
      } else {
        high = middle;
      }
    }
    return (low + high) / 2;
  }

  /**
   * Number of entries by exponent. Moments depend on the exponent alone, except at powers of two.
   */
  private record Exponents(long[] powers, long[] others) {
    static Exponents of(int[] codes, long[] counts) {
      long[] powers = new long[INFINITY_CODE >> MANTISSA_BITS];
      long[] others = new long[powers.length];
      for (int i = 0; i < codes.length; i++) {
        if (codes[i] < INFINITY_CODE) {
          boolean power = (codes[i] & ((1 << MANTISSA_BITS) - 1)) == 0;
          (power ? powers : others)[codes[i] >> MANTISSA_BITS] += counts[i];
        }
      }
      return new Exponents(powers, others);
    }

    long count() {
      return Arrays.stream(powers).sum() + Arrays.stream(others).sum();
    }

    /** Returns the expected sum of squares of a Gaussian update after rounding. */
    double expectedSquares(double deviation) {
      double sum = 0;
      for (int exponent = 0; exponent < powers.length; exponent++) {
        if (powers[exponent] + others[exponent] > 0) {
          double plain = squares(deviation, spacing(exponent));
          sum +=
              others[exponent] * plain
                  + powers[exponent] * ofPower(plain, other -> squares(deviation, other), exponent);
        }
      }
      return sum;
    }
  }

  /**
   * {@return the variance of an entry's update after rounding, indexed by magnitude code}
   *
   * @param deviation standard deviation of the Gaussian update before rounding
   */
  public static double[] variances(double deviation) {
    return byCode(spacing -> squares(deviation, spacing));
  }

  /**
   * {@return the fourth cumulant E[x⁴] − 3 E[x²]² of an entry's update after rounding, indexed by
   * magnitude code} It is zero for a normal variable.
   *
   * @param deviation standard deviation of the Gaussian update before rounding
   */
  public static double[] fourthCumulants(double deviation) {
    double[] squares = variances(deviation);
    double[] cumulants = byCode(spacing -> fourths(deviation, spacing));
    for (int code = 0; code < cumulants.length; code++) {
      cumulants[code] -= 3 * squares[code] * squares[code];
    }
    return cumulants;
  }

  private static double[] byCode(DoubleUnaryOperator moment) {
    double[] moments = new double[1 << 15];
    for (int exponent = 0; exponent < INFINITY_CODE >> MANTISSA_BITS; exponent++) {
      int first = exponent << MANTISSA_BITS;
      double plain = moment.applyAsDouble(spacing(exponent));
      Arrays.fill(moments, first, first + (1 << MANTISSA_BITS), plain);
      moments[first] = ofPower(plain, moment, exponent);
    }
    return moments;
  }

  /** Averages a moment at a power of two, where the spacing below is half the spacing above. */
  private static double ofPower(double plain, DoubleUnaryOperator moment, int exponent) {
    return exponent > 1 ? (plain + moment.applyAsDouble(spacing(exponent) / 2)) / 2 : plain;
  }

  /** Returns the expected sum of squares of a Gaussian update after rounding. */
  static double expectedSquares(long[] codes, double deviation) {
    return Exponents.of(IntStream.range(0, codes.length).toArray(), codes)
        .expectedSquares(deviation);
  }

  /**
   * {@return the expected share of entries that a Gaussian update leaves unchanged, with its
   * standard deviation}
   *
   * @param codes number of entries by bf16 magnitude code
   * @param deviation standard deviation of the Gaussian update before rounding
   */
  public static NullEstimate unchanged(long[] codes, double deviation) {
    return unchanged(IntStream.range(0, codes.length).toArray(), codes, deviation);
  }

  /**
   * {@return the expected share of entries that a Gaussian update leaves unchanged, with its
   * standard deviation}
   *
   * @param codes bf16 magnitude codes that entries have
   * @param counts number of entries with each of them
   * @param deviation standard deviation of the Gaussian update before rounding
   */
  public static NullEstimate unchanged(int[] codes, long[] counts, double deviation) {
    double mean = 0;
    double variance = 0;
    double entries = 0;
    for (int i = 0; i < codes.length; i++) {
      int code = codes[i];
      if (counts[i] > 0 && code < INFINITY_CODE) {
        double spacing = spacing(code >> MANTISSA_BITS);
        double stays = stays(deviation, spacing);
        if ((code & ((1 << MANTISSA_BITS) - 1)) == 0 && code >> MANTISSA_BITS > 1) {
          stays = (stays + stays(deviation, spacing / 2)) / 2;
        }
        entries += counts[i];
        mean += counts[i] * stays;
        variance += counts[i] * stays * (1 - stays);
      }
    }
    return NullEstimate.analytic("norm-matched", mean / entries, Math.sqrt(variance) / entries);
  }

  private static double spacing(int exponent) {
    return Math.scalb(1.0, Math.max(exponent, 1) - BIAS - MANTISSA_BITS);
  }

  private static double stays(double deviation, double spacing) {
    return deviation == 0 ? 1 : Erf.value(spacing / (2 * deviation) / ROOT_TWO);
  }

  /** Returns E[round(x)²] of a normal x, rounded to multiples of the spacing. */
  private static double squares(double deviation, double spacing) {
    double scaled = deviation / spacing;
    if (scaled >= SMOOTH) {
      return deviation * deviation + spacing * spacing / 12;
    }
    double sum = 0;
    double term = 1;
    for (int k = 1; term > 0 && scaled > 0; k++) {
      term = (2 * k - 1) * Erfc.value((k - 0.5) / (scaled * ROOT_TWO));
      sum += term;
    }
    return sum * spacing * spacing;
  }

  /** Returns E[round(x)⁴] of a normal x, rounded to multiples of the spacing. */
  private static double fourths(double deviation, double spacing) {
    double scaled = deviation / spacing;
    if (scaled >= SMOOTH) {
      double square = deviation * deviation;
      double uniform = spacing * spacing / 12;
      return 3 * square * square
          + 6 * square * uniform
          + spacing * spacing * spacing * spacing / 80;
    }
    double sum = 0;
    double term = 1;
    for (int k = 1; term > 0 && scaled > 0; k++) {
      double fourths = 4.0 * k * k * k - 6.0 * k * k + 4.0 * k - 1; // k⁴ − (k − 1)⁴
      term = fourths * Erfc.value((k - 0.5) / (scaled * ROOT_TWO));
      sum += term;
    }
    return sum * spacing * spacing * spacing * spacing;
  }
}
