package org.threegate.analysis.statistics;

/**
 * An odds ratio on the scale of logarithms: by what factor the odds of a change are higher inside a
 * set than the null model says.
 *
 * <pre>{@code
 * OddsRatio inside = OddsRatio.ofScore(35.2, 410);
 * System.out.println(inside.ratio() + ", z = " + inside.z());
 * }</pre>
 *
 * @param log natural logarithm of the ratio
 * @param error standard error of the logarithm
 */
public record OddsRatio(double log, double error) {
  /**
   * {@return the ratio to first order from a score test}
   *
   * @param score the score s
   * @param information its variance I, above 0
   * @throws IllegalArgumentException if there is no information
   */
  public static OddsRatio ofScore(double score, double information) {
    if (!(information > 0)) {
      throw new IllegalArgumentException("the information is " + information);
    }
    return new OddsRatio(score / information, 1 / Math.sqrt(information));
  }

  /**
   * {@return one ratio for two tests of the same pair of sets, each as the other's covariate} Both
   * tests see the same common entries, so that their mean is not more certain than each of them.
   *
   * @param first the second set tested under the model of the first
   * @param second the first set tested under the model of the second
   */
  public static OddsRatio symmetric(OddsRatio first, OddsRatio second) {
    return new OddsRatio((first.log + second.log) / 2, (first.error + second.error) / 2);
  }

  /** {@return the odds ratio} */
  public double ratio() {
    return Math.exp(log);
  }

  /** {@return the standard errors by which the logarithm exceeds 0} */
  public double z() {
    return log / error;
  }

  /** {@return the logarithm as an estimate whose error is known} */
  public StudentEstimate estimate() {
    return new StudentEstimate(log, error, Double.POSITIVE_INFINITY);
  }
}
