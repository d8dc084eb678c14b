package org.threegate.analysis.study;

import java.util.Arrays;
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

  /** Mean of pairwise differences, with its standard error. */
  static StudyRun.Mean pairedMean(double[] first, double[] second) {
    if (first.length != second.length) {
      throw new IllegalArgumentException("pairs of " + first.length + " and " + second.length);
    }
    double[] differences = new double[first.length];
    Arrays.setAll(differences, i -> first[i] - second[i]);
    double mean = Arrays.stream(differences).average().orElse(Double.NaN);
    double squares = Arrays.stream(differences).map(d -> (d - mean) * (d - mean)).sum();
    return new StudyRun.Mean(
        mean, Math.sqrt(squares / (differences.length - 1) / differences.length));
  }

  /** Of a measure of the matrices that both runs have. */
  static StudyRun.Mean ofMatrices(
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
    return pairedMean(
        pairs.stream().mapToDouble(pair -> pair[0]).toArray(),
        pairs.stream().mapToDouble(pair -> pair[1]).toArray());
  }

  /** In standard errors; 0 where nothing differs, or nothing is known. */
  static double z(StudyRun.Mean difference) {
    double z = difference.value() / difference.se();
    return Double.isNaN(z) ? 0 : z;
  }

  /**
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

  /** Where there is but one control. */
  static Verdict verdict(double z) {
    return verdict(0, z);
  }
}
