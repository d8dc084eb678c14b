package org.threegate.analysis.study;

import java.util.Arrays;
import java.util.Locale;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.Effect;
import org.threegate.analysis.statistics.SmallestEffect;
import org.threegate.analysis.statistics.StudentEstimate;

/**
 * The difference of a way of training from a reference. The replicates are runs, one per seed: the
 * matrices of one run share its seed, so their spread says nothing about other seeds.
 *
 * @param reference the control or null model to compare with
 * @param matched whether the reference decides the claim; the usual control does not
 * @param estimate mean logarithm of the ratio or odds ratio to the reference; its error is that
 *     between seeds, and unknown with a single seed
 * @param runs number of seeds, the smaller one of both ways
 */
public record Contrast(String reference, boolean matched, StudentEstimate estimate, int runs) {
  private static final double LEVEL = 0.95;

  /** Largest number of seeds that a text asks for. */
  private static final double MOST_SEEDS = 1000;

  private static StudentEstimate mean(double[] values) {
    int count = values.length;
    double mean = Arrays.stream(values).average().orElse(Double.NaN);
    double squares = Arrays.stream(values).map(v -> (v - mean) * (v - mean)).sum();
    double error = count > 1 ? Math.sqrt(squares / (count - 1.0) / count) : Double.NaN;
    return new StudentEstimate(mean, error, count - 1.0);
  }

  /** Without any spread the error is unknown: equal runs are not independent replicates. */
  private static StudentEstimate known(StudentEstimate estimate) {
    return estimate.error() > 0
        ? estimate
        : new StudentEstimate(estimate.value(), Double.NaN, estimate.freedom());
  }

  /**
   * Returns the mean of differences that are paired by seed.
   *
   * @param differences logarithms of ratios, one per seed
   */
  static Contrast paired(String reference, boolean matched, double[] differences) {
    return new Contrast(reference, matched, known(mean(differences)), differences.length);
  }

  /**
   * Returns the difference of the means of independent runs, with the error of Welch.
   *
   * @param first logarithms of the measure, one per seed
   * @param second those of the reference
   */
  static Contrast independent(String reference, boolean matched, double[] first, double[] second) {
    return new Contrast(
        reference,
        matched,
        known(StudentEstimate.difference(mean(first), mean(second))),
        Math.min(first.length, second.length));
  }

  /**
   * Returns the contrast with the wider one of two intervals: that of seeds, and that of the
   * samples. All runs answer the same problems and read the same texts, so the spread between seeds
   * does not contain the error of these samples. There are so many of them that it is normal.
   *
   * @param error standard error of the logarithm from samples; ignored if it is unknown
   */
  Contrast withErrorOf(double error) {
    StudentEstimate ofSamples =
        new StudentEstimate(estimate.value(), error, Double.POSITIVE_INFINITY);
    return error > 0 && ofSamples.interval(LEVEL).high() > estimate.interval(LEVEL).high()
        ? new Contrast(reference, matched, ofSamples, runs)
        : this;
  }

  /** {@return whether the difference and its error are known} */
  public boolean isDefined() {
    return effect().isDefined();
  }

  /** {@return the ratio or odds ratio to the reference} */
  public double ratio() {
    return Math.exp(estimate.value());
  }

  /** {@return the 95 % confidence interval of the ratio or odds ratio} */
  public ClusteredMean.Interval interval() {
    ClusteredMean.Interval logarithms = estimate.interval(LEVEL);
    return new ClusteredMean.Interval(Math.exp(logarithms.low()), Math.exp(logarithms.high()));
  }

  /** {@return the two-sided p-value of Student's test; 1 if the error is unknown} */
  public double pValue() {
    return estimate.pValue();
  }

  Effect effect() {
    return new Effect(estimate.value(), estimate.error(), estimate.freedom());
  }

  /**
   * Returns the number of seeds that would show on which side of the smallest effect the difference
   * lies; 0 if these seeds do, or if no reasonable number would.
   *
   * @param bound smallest effect of interest, as a logarithm
   */
  int seedsToDecide(double bound) {
    if (Double.isInfinite(estimate.freedom())) {
      return 0; // more seeds do not reduce the error of the samples
    }
    double needed = estimate.unitsToSettle(runs, Math.copySign(bound, estimate.value()));
    return needed > runs && needed <= MOST_SEEDS ? (int) needed : 0;
  }

  String text(SmallestEffect.Scale scale) {
    String ratio = String.format(Locale.ROOT, "%s to %s %.3g", scale.label(), reference, ratio());
    if (!isDefined()) {
      return Double.isNaN(estimate.value())
          ? scale.label() + " to " + reference + " undefined"
          : ratio + " (no error: one replicate, or equal ones)";
    }
    ClusteredMean.Interval interval = interval();
    return ratio
        + String.format(
            Locale.ROOT,
            " (95 %% interval %.3g to %.3g, %d seeds)",
            interval.low(),
            interval.high(),
            runs);
  }
}
