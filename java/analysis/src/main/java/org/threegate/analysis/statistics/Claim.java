package org.threegate.analysis.statistics;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/**
 * A statement about an update that is tested on each matrix.
 *
 * @param id identifier, as in {@code report.json}
 * @param statement the claim, as a sentence
 * @param measure name of the measure
 * @param sign +1 if the claim is that the measure lies above its nulls, −1 if below
 * @param tests one test per matrix
 * @param excluded description of matrices that cannot be tested, with the reason
 */
public record Claim(
    String id, String statement, String measure, int sign, List<Test> tests, String excluded) {
  /** Largest number of names in a sentence. */
  private static final int MOST_NAMES = 5;

  /**
   * Returns the claim without the tests that decide nothing, because the observation or all null
   * models are undefined. Such a null model has no variance. The claim names their matrices.
   */
  Claim defined() {
    List<Test> defined = new ArrayList<>();
    List<String> undefined = new ArrayList<>();
    for (Test test : tests) {
      test.defined().ifPresentOrElse(defined::add, () -> undefined.add(test.tensor()));
    }
    if (undefined.isEmpty()) {
      return new Claim(id, statement, measure, sign, defined, excluded);
    }
    String names = String.join(", ", undefined.subList(0, Math.min(MOST_NAMES, undefined.size())));
    String why =
        "left out, because their measure or null model is undefined: "
            + names
            + (undefined.size() > MOST_NAMES
                ? " and " + (undefined.size() - MOST_NAMES) + " more"
                : "");
    String all = excluded.isEmpty() ? why : excluded + "; " + why;
    return new Claim(id, statement, measure, sign, defined, all);
  }

  /**
   * The test of the claim on one matrix.
   *
   * @param tensor name of the matrix
   * @param kind kind of the matrix, such as {@code q_proj}
   * @param observed measured value
   * @param naive the reference value in common use, such as a mask's density; empty if there is
   *     none
   * @param nulls the applicable null models
   * @param weight weight of the matrix in means, such as its number of changed entries
   */
  public record Test(
      String tensor,
      String kind,
      double observed,
      Optional<NullEstimate> naive,
      List<NullEstimate> nulls,
      double weight) {
    /** Returns the test with the null models that are defined; empty if nothing is left. */
    Optional<Test> defined() {
      List<NullEstimate> usable =
          nulls.stream().filter(estimate -> Double.isFinite(estimate.z(observed))).toList();
      return usable.isEmpty() || !Double.isFinite(weight)
          ? Optional.empty()
          : Optional.of(
              new Test(
                  tensor,
                  kind,
                  observed,
                  naive.filter(estimate -> Double.isFinite(estimate.mean())),
                  usable,
                  weight));
    }

    /**
     * Returns the null that comes closest to explaining the observation. If nulls lie on both sides
     * of the observation, together they explain it.
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

  /** The distance of an observation from a null. */
  record Score(NullEstimate estimate, double z, double pValue) {
    /** Compares p-values, or z-scores if both p-values underflow a float64. */
    boolean explainsMoreThan(Score other) {
      return pValue > other.pValue || (pValue == other.pValue && Math.abs(z) < Math.abs(other.z));
    }
  }
}
