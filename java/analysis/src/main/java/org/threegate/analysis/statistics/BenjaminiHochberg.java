package org.threegate.analysis.statistics;

import java.util.Arrays;

/**
 * Controls the share of false discoveries among many tests (Benjamini and Hochberg, "Controlling
 * the false discovery rate", 1995).
 *
 * <pre>{@code
 * double largest = BenjaminiHochberg.threshold(new double[] {0.001, 0.2, 0.9}, 0.05);
 * System.out.println("significant: p up to " + largest);
 * }</pre>
 */
public final class BenjaminiHochberg {
  private BenjaminiHochberg() {}

  /**
   * The largest p-value that is significant: the largest p_(i) ≤ i·rate/count; −1 where none is.
   *
   * @param rate of false discoveries, such as 0.05
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
