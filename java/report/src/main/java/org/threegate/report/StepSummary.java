package org.threegate.report;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.geometry.Geometry;
import org.threegate.analysis.geometry.SpectrumMeasure;
import org.threegate.analysis.nullmodel.NullDraws;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Totals;

/**
 * Summarises one step of a run over all matrices. Counts and norms are sums over entries; all other
 * values are medians over matrices.
 *
 * @param nssNull NSS of the norm-matched null; NaN where it was not drawn
 * @param angle largest principal angle in radians, over matrices that are not gap-limited
 * @param angleNull the same for the norm-matched null
 * @param locking overlap of the input directions with those of the last step
 * @param lockingRandom locking of random subspaces
 * @param lockingWalk locking of a random walk; NaN for the last step
 * @param rowStability correlation of row profiles with those of the last step
 * @param rowStabilityBeyondMagnitude the same after subtracting what magnitudes predict
 */
record StepSummary(
    double step,
    double sparsity,
    double relativeFrobenius,
    double nss,
    double nssNull,
    double angle,
    double angleNull,
    double locking,
    double lockingRandom,
    double lockingWalk,
    double rowStability,
    double rowStabilityBeyondMagnitude,
    double columnStability,
    double columnStabilityBeyondMagnitude) {
  static StepSummary of(double step, int index, List<TensorTrajectory> tensors) {
    List<TensorTrajectory.Step> steps =
        tensors.stream().map(tensor -> tensor.steps().get(index)).toList();
    Totals totals =
        steps.stream().map(TensorTrajectory.Step::totals).reduce(Totals.ZERO, Totals::plus);
    List<SpectrumMeasure> spectra =
        steps.stream().flatMap(own -> own.geometry().spectra().stream().limit(1)).toList();
    List<SpectrumMeasure> turning =
        spectra.stream().filter(measure -> !measure.geometry().isGapLimited()).toList();
    return new StepSummary(
        step,
        totals.sparsity(),
        totals.relativeFrobenius(),
        median(spectra, measure -> measure.geometry().nss()),
        median(spectra, measure -> matched(measure, NullDraws::nss)),
        median(turning, measure -> Geometry.max(measure.geometry().angleU())),
        median(turning, measure -> matched(measure, NullDraws::angleU)),
        median(steps, TensorTrajectory.Step::locking),
        median(steps, own -> nullOf(own, "random-subspace")),
        median(steps, own -> nullOf(own, "random-walk")),
        median(steps, own -> own.rowStability().correlation()),
        median(steps, own -> own.rowStability().beyondMagnitude()),
        median(steps, own -> own.columnStability().correlation()),
        median(steps, own -> own.columnStability().beyondMagnitude()));
  }

  private static double matched(SpectrumMeasure measure, Function<NullDraws, double[]> draws) {
    Optional<NullDraws> matched = measure.draws(NullModel.NORM_MATCHED);
    return matched.map(own -> own.estimate(draws.apply(own)).mean()).orElse(Double.NaN);
  }

  private static double nullOf(TensorTrajectory.Step step, String model) {
    return step.lockingNulls().stream()
        .filter(estimate -> estimate.model().equals(model))
        .mapToDouble(NullEstimate::mean)
        .findFirst()
        .orElse(Double.NaN);
  }

  private static <T> double median(List<T> from, ToDoubleFunction<T> value) {
    double[] sorted = from.stream().mapToDouble(value).filter(Double::isFinite).sorted().toArray();
    int count = sorted.length;
    return count == 0
        ? Double.NaN
        : Arrays.stream(sorted, (count - 1) / 2, count / 2 + 1).average().orElseThrow();
  }
}
