package org.threegate.analysis.statistics;

/**
 * The overlap of two sets of entries in one or more matrices, with the overlap expected from chance
 * and from weight magnitudes (arXiv 2511.08567, section 2.2 and table 2). The magnitude-matched
 * null model is an addition of this project.
 *
 * <pre>{@code
 * Agreement runs = new Agreement(1000, 400, 400, 250, 180, 60);
 * System.out.println(runs.jaccard() + " against " + runs.magnitudeJaccard() + ", z " + runs.magnitudeZ());
 * }</pre>
 *
 * @param total number of entries
 * @param first size of the first set
 * @param second size of the second set
 * @param common size of the intersection
 * @param expected expected size of the intersection under the magnitude-matched null
 * @param variance variance of the size of the intersection under that null
 */
public record Agreement(
    long total, long first, long second, long common, double expected, double variance) {
  public static final Agreement NONE = new Agreement(0, 0, 0, 0, 0, 0);

  /**
   * {@return the pooled agreement of two disjoint collections of matrices}
   *
   * @param other agreement in other matrices
   */
  public Agreement plus(Agreement other) {
    return new Agreement(
        total + other.total,
        first + other.first,
        second + other.second,
        common + other.common,
        expected + other.expected,
        variance + other.variance);
  }

  /**
   * {@return the Jaccard index of sets of these sizes with another intersection}
   *
   * @param intersection size of the intersection
   */
  public double jaccardOf(double intersection) {
    return Ratio.of(intersection, first + second - intersection);
  }

  /**
   * {@return the standard deviation of the Jaccard index, to first order}
   *
   * @param intersection expected size of the intersection
   * @param variance variance of the size of the intersection
   */
  public double jaccardSd(double intersection, double variance) {
    double union = first + second - intersection;
    return Ratio.of(Math.sqrt(variance) * (first + second), union * union);
  }

  /** {@return the Jaccard index |A ∩ B| / |A ∪ B|; NaN for two empty sets} */
  public double jaccard() {
    return jaccardOf(common);
  }

  /**
   * {@return the Jaccard index of independent sets with densities p and q: pq/(p + q − pq); NaN for
   * two empty sets}
   */
  public double bernoulliJaccard() {
    double p = first / (double) total;
    double q = second / (double) total;
    return Ratio.of(p * q, p + q - p * q);
  }

  /** {@return the Jaccard index of the intersection expected under the magnitude-matched null} */
  public double magnitudeJaccard() {
    return jaccardOf(expected);
  }

  /** {@return the standard deviation of the Jaccard index under that null, to first order} */
  public double magnitudeSd() {
    return jaccardSd(expected, variance);
  }

  /**
   * {@return how many standard deviations the intersection lies above its expectation under the
   * magnitude-matched null; 0 if the standard deviation is 0}
   */
  public double magnitudeZ() {
    return variance > 0 ? (common - expected) / Math.sqrt(variance) : 0;
  }

  /** {@return the agreement against independent sets of the same sizes, as an odds ratio} */
  public Against againstIndependent() {
    double expected = first * (second / (double) total);
    double variance = expected * (1 - first / (double) total) * (total - second) / (total - 1.0);
    return new Against(
        NullEstimate.analytic("independent", bernoulliJaccard(), magnitudeSd()),
        Effect.ofOverlap(common, expected, variance));
  }

  /** {@return the agreement against the magnitude-matched null, as an odds ratio} */
  public Against againstMagnitude() {
    return new Against(
        NullEstimate.analytic("magnitude-matched", magnitudeJaccard(), magnitudeSd()),
        Effect.ofOverlap(common, expected, variance));
  }
}
