package org.threegate.analysis.statistics;

/**
 * The size of an effect: how far an observation lies from a null model, on a logarithmic scale.
 *
 * <p>For an overlap of two sets this is the log odds ratio, for other measures the logarithm of the
 * ratio of the observation to the null. Zero means that the null model explains the observation.
 *
 * <pre>{@code
 * NullEstimate drift = NullEstimate.of("norm-matched", new double[] {0.0021, 0.0020, 0.0022});
 * Effect effect = Effect.ofRatio(0.0035, drift);
 * System.out.println(effect.ratio() + " times the null, p = " + effect.pValue());
 * }</pre>
 *
 * @param log natural logarithm of the ratio or odds ratio
 * @param se standard error of {@code log}
 * @param df degrees of freedom of the standard error; infinite if it is known exactly
 */
public record Effect(double log, double se, double df) {
  /** Share of the information that a null must leave, so that an overlap can differ from it. */
  private static final double LEAST_INFORMATION = 0.01;

  /** Ratios beyond this count as this: their logarithm would outweigh all other matrices. */
  private static final double LARGEST = 1e6;

  /**
   * {@return the ratio of an observation to a null model} The null's distribution is approximated
   * by a log-normal distribution with the same mean and standard deviation.
   *
   * @param observed measured value, not negative
   * @param estimate distribution of the measure under the null
   */
  public static Effect ofRatio(double observed, NullEstimate estimate) {
    if (observed == estimate.mean() && !(estimate.sd() > 0)) {
      return new Effect(0, 0, degrees(estimate));
    }
    double variation = estimate.sd() / estimate.mean();
    double variance = Math.log1p(variation * variation);
    double widened = variance * (estimate.draws() > 0 ? 1 + 1.0 / estimate.draws() : 1);
    double ratio = Math.max(1 / LARGEST, Math.min(LARGEST, observed / estimate.mean()));
    return new Effect(Math.log(ratio) + variance / 2, Math.sqrt(widened), degrees(estimate));
  }

  /**
   * {@return the log odds ratio of membership in two sets} It is the score estimate: the excess of
   * the intersection over its expectation, divided by its variance, which is also the information.
   *
   * @param common size of the intersection
   * @param expected its expectation under the null
   * @param variance its variance under the null; the result is undefined if it is not positive
   */
  public static Effect ofOverlap(double common, double expected, double variance) {
    return variance > 0
        ? new Effect(
            (common - expected) / variance, 1 / Math.sqrt(variance), Double.POSITIVE_INFINITY)
        : new Effect(Double.NaN, Double.NaN, Double.POSITIVE_INFINITY);
  }

  /**
   * {@return this effect, or no effect if the null model determines nearly all of the overlap} The
   * smallest weights are a set that magnitudes determine, up to ties. Beyond magnitude, such a set
   * carries no information, so the null explains any overlap with it.
   *
   * @param left variance of the overlap under the null: the information that is left
   * @param all variance of the overlap at random positions
   */
  public Effect orExplained(double left, double all) {
    return left < LEAST_INFORMATION * all
        ? new Effect(0, 1 / Math.sqrt(all), Double.POSITIVE_INFINITY)
        : this;
  }

  /**
   * {@return this effect of a single direction against the mean of random ones, with the spread of
   * single random directions in its error} The variance is se² + s²(1 + 1/draws), with s² the
   * variance over draws, and its degrees of freedom follow Welch and Satterthwaite.
   *
   * @param observed logarithm of the measured value
   * @param draws logarithms of the measure of each random direction, at least two
   */
  public Effect withDraws(double observed, double[] draws) {
    StudentEstimate ofDraws = StudentEstimate.ofDraws(draws);
    StudentEstimate difference =
        StudentEstimate.difference(new StudentEstimate(observed, se, df), ofDraws);
    return new Effect(difference.value(), difference.error(), difference.freedom());
  }

  private static double degrees(NullEstimate estimate) {
    return estimate.draws() > 0 ? estimate.draws() - 1 : Double.POSITIVE_INFINITY;
  }

  /** {@return whether the effect and its error are defined} */
  public boolean isDefined() {
    return Double.isFinite(log) && Double.isFinite(se) && df > 0;
  }

  /** {@return the ratio or odds ratio} */
  public double ratio() {
    return Math.exp(log);
  }

  /** {@return the number of standard errors between the effect and zero, with its sign} */
  public double t() {
    return log == 0 ? 0 : log / se;
  }

  /** {@return the two-sided p-value of Student's test that the null explains the observation} */
  public double pValue() {
    return estimate().pValue();
  }

  /** {@return the logarithm as an estimate} */
  StudentEstimate estimate() {
    return new StudentEstimate(log, se, df);
  }

  /**
   * {@return the two-sided confidence interval of {@code log}}
   *
   * @param probability level of the interval, such as 0.95
   */
  public ClusteredMean.Interval interval(double probability) {
    return estimate().interval(probability);
  }
}
