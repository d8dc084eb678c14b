package org.threegate.analysis.study;

import java.util.List;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.statistics.Verdict;

/**
 * The difference of two runs, and the rule that judges it. A claim says that the measure of one run
 * lies above that of another. It is supported only if the difference from the matched control
 * exceeds three standard errors. The matched control has the same value of a confounder, such as
 * the size of the update or the density of a mask. If the claim holds only against the usual
 * control, it is explained by the null.
 */
final class Contrast {
  private static final double LEAST_Z = 3;

  private Contrast() {}

  /** Returns the mean difference of a measure over the matrices that both runs share. */
  static Mean ofMatrices(
      StudyRun first, StudyRun second, ToDoubleFunction<MatrixMeasures> measure) {
    List<double[]> pairs =
        first.matrices().stream()
            .flatMap(
                own ->
                    second.matrices().stream()
                        .filter(other -> other.name().equals(own.name()))
                        .map(
                            other ->
                                new double[] {
                                  measure.applyAsDouble(own), measure.applyAsDouble(other)
                                }))
            .filter(pair -> Double.isFinite(pair[0]) && Double.isFinite(pair[1]))
            .toList();
    return Mean.ofPairs(
        pairs.stream().mapToDouble(pair -> pair[0]).toArray(),
        pairs.stream().mapToDouble(pair -> pair[1]).toArray());
  }

  /**
   * Returns the verdict of a claim with two controls.
   *
   * @param usual z-score of the difference from the usual control, positive if in favour of the
   *     claim
   * @param matched z-score of the difference from the matched control, with the same sign
   */
  static Verdict verdict(double usual, double matched) {
    if (matched >= LEAST_Z) {
      return Verdict.SUPPORTED;
    }
    if (matched <= -LEAST_Z) {
      return Verdict.CONTRADICTED;
    }
    return usual >= LEAST_Z ? Verdict.EXPLAINED_BY_NULL : Verdict.UNDETERMINED;
  }

  /** Returns the verdict of a claim with one control. */
  static Verdict verdict(double z) {
    return verdict(0, z);
  }
}
