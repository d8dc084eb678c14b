package org.threegate.analysis.statistics;

import java.util.Arrays;

/**
 * Controls the false discovery rate of tests that depend on each other in any way (Benjamini and
 * Yekutieli, Annals of Statistics 29(4), 2001). Claims about one update do.
 *
 * <pre>{@code
 * double[] pValues = {0.0001, 0.004, 0.3};
 * System.out.println(BenjaminiYekutieli.adjusted(pValues)[1] <= 0.05);
 * }</pre>
 */
public final class BenjaminiYekutieli {
  private BenjaminiYekutieli() {}

  private static double harmonic(int count) {
    double sum = 0;
    for (int i = count; i > 0; i--) {
      sum += 1.0 / i;
    }
    return sum;
  }

  /**
   * Returns the largest significant p-value.
   *
   * @param pValues p-values in any order
   * @param rate false discovery rate, such as 0.05
   * @return the threshold; −1 if no test is significant
   */
  public static double threshold(double[] pValues, double rate) {
    return BenjaminiHochberg.threshold(pValues, rate / harmonic(pValues.length));
  }

  /**
   * Adjusts p-values, so that those at or below a rate are significant at that rate.
   *
   * @param pValues p-values in any order
   * @return the adjusted p-values, in the same order
   */
  public static double[] adjusted(double[] pValues) {
    int count = pValues.length;
    double harmonic = harmonic(count);
    Integer[] order = new Integer[count];
    Arrays.setAll(order, i -> i);
    Arrays.sort(order, (a, b) -> Double.compare(pValues[a], pValues[b]));
    double[] adjusted = new double[count];
    double least = 1;
    for (int i = count; i > 0; i--) {
      least = Math.min(least, pValues[order[i - 1]] * count * harmonic / i);
      adjusted[order[i - 1]] = least;
    }
    return adjusted;
  }
}
