package org.threegate.analysis.study;

import java.util.Arrays;

/**
 * A mean with its standard error.
 *
 * @param value the mean
 * @param se standard error of the mean; NaN if unknown
 */
public record Mean(double value, double se) {
  /**
   * {@return the mean of independent values, with its standard error; NaN for fewer than two}
   *
   * @param values the values
   */
  public static Mean of(double[] values) {
    return ofPairs(values, new double[values.length]);
  }

  /** Returns an exact value, with a standard error of 0. */
  static Mean certain(double value) {
    return new Mean(value, Double.NaN);
  }

  /**
   * Returns the mean of pairwise differences, with its standard error.
   *
   * @param first values, paired by index with {@code second}
   */
  static Mean ofPairs(double[] first, double[] second) {
    if (first.length != second.length) {
      throw new IllegalArgumentException(
          "arrays of different lengths: " + first.length + " and " + second.length);
    }
    double[] differences = new double[first.length];
    Arrays.setAll(differences, i -> first[i] - second[i]);
    double mean = Arrays.stream(differences).average().orElse(Double.NaN);
    double squares = Arrays.stream(differences).map(d -> (d - mean) * (d - mean)).sum();
    return new Mean(mean, Math.sqrt(squares / (differences.length - 1) / differences.length));
  }
}
