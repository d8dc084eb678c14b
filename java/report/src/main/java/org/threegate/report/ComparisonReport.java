package org.threegate.report;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.threegate.analysis.measure.TensorDiff;
import org.threegate.analysis.statistics.Totals;

/**
 * A comparison, ready to be rendered.
 *
 * @param command the options after defaults, enough to repeat the run
 */
public record ComparisonReport(
    String version,
    List<String> command,
    Backend backend,
    Source base,
    Source tuned,
    long seed,
    Seconds seconds,
    long peakRssBytes,
    Unmatched unmatched,
    List<TensorDiff> tensors) {
  /** What ran. */
  public record Backend(String device, String binding, int threads, String simd, String blas) {}

  /** One side. */
  public record Source(String path, Optional<String> sha256, long tensors, long parameters) {}

  /** Wall-clock seconds. */
  public record Seconds(double read, double diff, double total) {}

  /** What could not be compared. */
  public record Unmatched(
      List<String> onlyInBase,
      List<String> onlyInTuned,
      List<String> shapeMismatch,
      List<String> notCompared,
      List<String> untouchedByAdapter) {}

  /** Counts and sums over all tensors. */
  public Totals totals() {
    return tensors.stream().map(TensorDiff::totals).reduce(Totals.ZERO, Totals::plus);
  }

  /** Counts and sums by kind, in order of first appearance. */
  public Map<String, Totals> byKind() {
    return group(TensorDiff::kind);
  }

  /** Counts and sums by layer, tensors without a layer under "-" at the end. */
  public Map<String, Totals> byLayer() {
    List<TensorDiff> sorted = new ArrayList<>(tensors);
    sorted.sort(
        java.util.Comparator.comparingInt(tensor -> tensor.layer().orElse(Integer.MAX_VALUE)));
    return group(
        sorted,
        tensor -> tensor.layer().isPresent() ? Integer.toString(tensor.layer().getAsInt()) : "-");
  }

  private Map<String, Totals> group(Function<TensorDiff, String> key) {
    return group(tensors, key);
  }

  private static Map<String, Totals> group(
      List<TensorDiff> tensors, Function<TensorDiff, String> key) {
    Map<String, Totals> groups = new LinkedHashMap<>();
    tensors.forEach(tensor -> groups.merge(key.apply(tensor), tensor.totals(), Totals::plus));
    return groups;
  }
}
