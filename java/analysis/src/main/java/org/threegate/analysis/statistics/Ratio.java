package org.threegate.analysis.statistics;

/** Ratios that are either finite or undefined. */
public final class Ratio {
  private Ratio() {}

  /**
   * {@return numerator / denominator; NaN where the denominator is zero or the ratio is not finite}
   *
   * @param numerator any number
   * @param denominator any number
   */
  public static double of(double numerator, double denominator) {
    double ratio = numerator / denominator;
    return Double.isFinite(ratio) ? ratio : Double.NaN;
  }
}
