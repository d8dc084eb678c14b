package org.threegate.analysis.statistics;

/**
 * The share of an update's squares that one kind of rescaling explains, beside the share that noise
 * explains.
 *
 * <pre>{@code
 * RescalingShare rows = RescalingShare.of(0.03, 0.001, 0.0002, 1.5);
 * System.out.println(rows.value() + ", noise gives " + rows.noise() + ", z = " + rows.z());
 * }</pre>
 *
 * @param value the share, 0 to 1
 * @param noise share that the term has on average if nothing is rescaled and the residual's signs
 *     are random
 * @param error standard deviation of the share
 */
public record RescalingShare(double value, double noise, double error) {
  /** Two-sided 95 % quantile of the normal distribution. */
  private static final double NORMAL_95 = 1.959963984540054;

  /**
   * Computes a share.
   *
   * @param squares what the term explains
   * @param noise expectation of {@code squares} for noise
   * @param deviation standard deviation of {@code squares}
   * @param whole squared norm of the update
   * @return the share; all zeros for an update of zeros
   */
  public static RescalingShare of(double squares, double noise, double deviation, double whole) {
    return whole > 0
        ? new RescalingShare(squares / whole, noise / whole, deviation / whole)
        : new RescalingShare(0, 0, 0);
  }

  /**
   * {@return the share of a term for noise of equal variance}
   *
   * @param parameters free parameters of the term: 1, rows − 1 or columns − 1
   * @param entries number of entries of the matrix
   */
  public static double chance(long parameters, long entries) {
    return Ratio.of(parameters, entries);
  }

  /** {@return the standard deviations by which the share exceeds that of noise; 0 without any} */
  public double z() {
    return error > 0 ? (value - noise) / error : 0;
  }

  /** {@return the share beyond that of noise, with its 95 % interval cut at 0 and 1} */
  public ClusteredMean.Interval excess() {
    double middle = value - noise;
    return new ClusteredMean.Interval(
        Math.max(0, middle - NORMAL_95 * error), Math.min(1, middle + NORMAL_95 * error));
  }
}
