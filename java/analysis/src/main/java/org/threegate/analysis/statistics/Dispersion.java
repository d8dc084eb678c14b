package org.threegate.analysis.statistics;

/**
 * Overdispersion of counts relative to independent counts with given expectations and variances.
 *
 * <pre>{@code
 * double z = Dispersion.z(new long[] {12, 3}, new double[] {7, 8}, new double[] {5, 6});
 * System.out.println(z + ": about standard normal for many independent counts");
 * }</pre>
 */
public final class Dispersion {
  private Dispersion() {}

  /**
   * {@return (χ² − df) / √(2 df) with χ² = Σ (c_i − e_i)² / v_i over the counts with positive
   * variance} The result is approximately standard normal for many independent counts. It is 0 if
   * no count varies. The expectations are fitted to the sum of the counts, so df is one less than
   * the number of counts that vary.
   *
   * @param counts observed counts c_i
   * @param expected expectations e_i, of the same length
   * @param variances variances v_i, of the same length
   */
  public static double z(long[] counts, double[] expected, double[] variances) {
    double squares = 0;
    int freedom = -1;
    for (int i = 0; i < counts.length; i++) {
      if (variances[i] > 0) {
        double difference = counts[i] - expected[i];
        squares += difference * difference / variances[i];
        freedom++;
      }
    }
    return z(squares, freedom);
  }

  /**
   * {@return what the other overload returns if all counts have the same expectation and variance}
   *
   * @param counts observed counts c_i
   * @param expected expectation of each count
   * @param variance variance of each count
   */
  public static double z(long[] counts, double expected, double variance) {
    if (!(variance > 0)) {
      return 0;
    }
    double squares = 0;
    for (long count : counts) {
      double difference = count - expected;
      squares += difference * difference / variance;
    }
    return z(squares, counts.length - 1);
  }

  private static double z(double squares, int freedom) {
    return freedom > 0 ? (squares - freedom) / Math.sqrt(2.0 * freedom) : 0;
  }
}
