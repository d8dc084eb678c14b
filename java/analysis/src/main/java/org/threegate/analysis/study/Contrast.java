package org.threegate.analysis.study;

import java.util.List;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.statistics.Verdict;

/**
 * The difference of two runs, and the rule that judges it. A claim that one run's measure lies
 * above another's is supported only where that holds beyond three standard errors against the
 * control that is matched in what would explain it (the size of the step, the density of a mask).
 * Where it holds against the usual control alone, the matching explains it.
 */
final class Contrast {
  private static final double LEAST_Z = 3;

  private Contrast() {}

  /** Returns the difference of a measure of the matrices that both runs have. */
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
   * @param usual z of the difference from the usual control, positive where it speaks for the claim
   * @param matched the same of the matched control
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
