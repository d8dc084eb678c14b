package org.threegate.analysis.statistics;

import java.util.List;
import java.util.Optional;

/**
 * A statement about an update that each matrix can speak for or against.
 *
 * @param id as in {@code report.json}
 * @param statement the claim, as a sentence
 * @param measure what is measured
 * @param sign −1 when the claim is that the measure lies below its nulls, +1 above
 * @param tests one a matrix
 * @param excluded matrices that cannot say anything, and why
 */
public record Claim(
    String id, String statement, String measure, int sign, List<Test> tests, String excluded) {
  /**
   * One matrix.
   *
   * @param naive the value that the measure is usually held against, such as a mask's density;
   *     empty where nobody holds it against anything
   * @param nulls the applicable null models
   * @param weight of the matrix in the means, such as its number of changed entries
   */
  public record Test(
      String tensor,
      String kind,
      double observed,
      Optional<NullEstimate> naive,
      List<NullEstimate> nulls,
      double weight) {
    /**
     * The null that comes closest to explaining the observation; nulls on different sides of it
     * explain it together.
     */
    Score strictest() {
      Optional<Score> closest = Optional.empty();
      boolean above = false;
      boolean below = false;
      for (NullEstimate estimate : nulls) {
        double z = estimate.z(observed);
        above |= z > 0;
        below |= z < 0;
        Score score = new Score(estimate, z, estimate.pValue(observed));
        if (closest.isEmpty() || score.explainsMoreThan(closest.get())) {
          closest = Optional.of(score);
        }
      }
      Score score = closest.orElseThrow();
      return above && below ? new Score(score.estimate(), 0, 1) : score;
    }
  }

  /** How far an observation lies from a null. */
  record Score(NullEstimate estimate, double z, double pValue) {
    /** By z where both are too unlikely for a float64. */
    boolean explainsMoreThan(Score other) {
      return pValue > other.pValue || (pValue == other.pValue && Math.abs(z) < Math.abs(other.z));
    }
  }
}
