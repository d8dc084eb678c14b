package org.threegate.analysis.statistics;

/**
 * How far counts spread beyond independent ones, each with an expectation and a variance of its
 * own.
 *
 * <pre>{@code
 * double z = Dispersion.z(new long[] {12, 3}, new double[] {7, 8}, new double[] {5, 6});
 * System.out.println(z + ": about standard normal for many independent counts");
 * }</pre>
 */
public final class Dispersion {
  private Dispersion() {}

  /**
   * (χ² − df) / √(2 df), χ² = Σ (c_i − e_i)² / v_i over counts with a variance; about standard
   * normal for many independent counts; 0 where none varies. The expectations are fitted to the sum
   * of the counts, so that df is one less than the number of those that vary.
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
    return freedom > 0 ? (squares - freedom) / Math.sqrt(2.0 * freedom) : 0;
  }
}
