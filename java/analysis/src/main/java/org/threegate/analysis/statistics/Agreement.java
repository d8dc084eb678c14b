package org.threegate.analysis.statistics;

/**
 * Two sets of entries of one matrix, or of several: what they have in common beside what chance and
 * magnitude give (arXiv 2511.08567, section 2.2 and table 2; the magnitude-matched null is ours).
 *
 * <pre>{@code
 * Agreement runs = new Agreement(1000, 400, 400, 250, 180, 60);
 * System.out.println(runs.jaccard() + " against " + runs.magnitudeJaccard() + ", z " + runs.magnitudeZ());
 * }</pre>
 *
 * @param total entries
 * @param first entries of the first set
 * @param second entries of the second
 * @param common entries of both
 * @param expected of these when only magnitude decides
 * @param variance of these under that null
 */
public record Agreement(
    long total, long first, long second, long common, double expected, double variance) {
  public static final Agreement NONE = new Agreement(0, 0, 0, 0, 0, 0);

  /** Of disjoint matrices together. */
  public Agreement plus(Agreement other) {
    return new Agreement(
        total + other.total,
        first + other.first,
        second + other.second,
        common + other.common,
        expected + other.expected,
        variance + other.variance);
  }

  private double jaccard(double intersection) {
    return intersection / (first + second - intersection);
  }

  /** |A ∩ B| / |A ∪ B|; NaN for two empty sets. */
  public double jaccard() {
    return jaccard(common);
  }

  /** The same of independent sets of these densities p and q: pq/(p + q − pq). */
  public double bernoulliJaccard() {
    double p = first / (double) total;
    double q = second / (double) total;
    return p * q / (p + q - p * q);
  }

  /** The same when only magnitude decides: of the expected intersection. */
  public double magnitudeJaccard() {
    return jaccard(expected);
  }

  /** Standard deviation of the Jaccard index under that null, to first order. */
  public double magnitudeSd() {
    double union = first + second - expected;
    return Math.sqrt(variance) * (first + second) / (union * union);
  }

  /** How far the intersection lies above the magnitude-matched null; 0 where its sd is. */
  public double magnitudeZ() {
    return variance > 0 ? (common - expected) / Math.sqrt(variance) : 0;
  }
}
