package org.threegate.analysis.statistics;

import java.util.Arrays;

/** Pearson correlation of two profiles. */
public final class Correlation {
  private Correlation() {}

  /**
   * {@return the Pearson correlation of two profiles of the same length; NaN if one is constant}
   *
   * @param first first profile
   * @param second second profile, of the same length
   */
  public static double of(double[] first, double[] second) {
    double meanFirst = Arrays.stream(first).average().orElse(0);
    double meanSecond = Arrays.stream(second).average().orElse(0);
    double product = 0;
    double squaresFirst = 0;
    double squaresSecond = 0;
    for (int i = 0; i < first.length; i++) {
      double a = first[i] - meanFirst;
      double b = second[i] - meanSecond;
      product += a * b;
      squaresFirst += a * a;
      squaresSecond += b * b;
    }
    return Ratio.of(product, Math.sqrt(squaresFirst) * Math.sqrt(squaresSecond));
  }

  /**
   * {@return the standard deviation of the correlation of independent profiles of this length}
   *
   * @param length number of elements of each profile
   */
  public static double nullSd(int length) {
    return 1 / Math.sqrt(Math.max(1, length - 1));
  }
}
