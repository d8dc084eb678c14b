package org.threegate.analysis.study;

import java.util.Arrays;

/**
 * A mean with its standard error.
 *
 * @param value the mean
 * @param se its standard error; not a number where it is not known
 */
public record Mean(double value, double se) {
  /** Returns a value without a standard error. */
  static Mean certain(double value) {
    return new Mean(value, Double.NaN);
  }

  /**
   * Returns the mean of pairwise differences, with its standard error.
   *
   * @param first as many values as {@code second} has
   */
  static Mean ofPairs(double[] first, double[] second) {
    if (first.length != second.length) {
      throw new IllegalArgumentException("pairs of " + first.length + " and " + second.length);
    }
    double[] differences = new double[first.length];
    Arrays.setAll(differences, i -> first[i] - second[i]);
    double mean = Arrays.stream(differences).average().orElse(Double.NaN);
    double squares = Arrays.stream(differences).map(d -> (d - mean) * (d - mean)).sum();
    return new Mean(mean, Math.sqrt(squares / (differences.length - 1) / differences.length));
  }

  /** Returns the difference from an independent mean. */
  Mean minus(Mean other) {
    return new Mean(value - other.value, Math.hypot(se, other.se));
  }

  /** Returns the mean in standard errors; 0 where nothing differs, or nothing is known. */
  double z() {
    double z = value / se;
    return Double.isNaN(z) ? 0 : z;
  }
}
