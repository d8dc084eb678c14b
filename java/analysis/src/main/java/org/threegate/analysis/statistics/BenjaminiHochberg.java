package org.threegate.analysis.statistics;

import java.util.Arrays;

/**
 * Controls the false discovery rate of multiple tests (Benjamini and Hochberg, "Controlling the
 * false discovery rate", 1995).
 */
public final class BenjaminiHochberg {
  private BenjaminiHochberg() {}

  /**
   * {@return the largest significant p-value: the largest p_(i) ≤ i·rate/count; −1 if no test is
   * significant}
   *
   * @param pValues p-values in any order
   * @param rate false discovery rate, such as 0.05
   */
  public static double threshold(double[] pValues, double rate) {
    double[] sorted = pValues.clone();
    Arrays.sort(sorted);
    for (int i = sorted.length; i > 0; i--) {
      if (sorted[i - 1] <= i * rate / sorted.length) {
        return sorted[i - 1];
      }
    }
    return -1;
  }
}
