package org.threegate.analysis.consensus;

import java.util.List;
import java.util.OptionalInt;
import org.threegate.analysis.diff.ChangeMap;
import org.threegate.analysis.statistics.Agreement;

/**
 * What several runs from one base change in one matrix.
 *
 * @param changed entries, by run
 * @param pairs agreements of runs (0, 1), (0, 2), …, (1, 2), …
 * @param changedByRuns entries that exactly 0, 1, … runs change
 * @param changedByRunsNull the same if, among entries of about the same magnitude, runs were
 *     independent
 * @param map entries changed, summed over runs
 * @param heads agreement of the runs within each head
 * @param rows how alike the runs' row profiles are
 * @param columns the same of columns
 */
public record TensorConsensus(
    String name,
    OptionalInt layer,
    String kind,
    List<Long> shape,
    long[] changed,
    List<Agreement> pairs,
    long[] changedByRuns,
    double[] changedByRunsNull,
    ChangeMap map,
    List<Head> heads,
    Bands rows,
    Bands columns) {
  /** One attention head: all pairs of runs together. */
  public record Head(String part, int head, Agreement agreement) {}

  /**
   * Mean over pairs of runs of the correlation of their profiles.
   *
   * @param correlation of the counts
   * @param beyondMagnitude of the counts less what magnitude lets one expect of them
   * @param magnitude of the counts with that expectation, mean over runs
   * @param nullSd of the correlation of two independent profiles
   */
  public record Bands(
      double correlation, double beyondMagnitude, double magnitude, double nullSd) {}

  /** All pairs together. */
  public Agreement agreement() {
    return pairs.stream().reduce(Agreement.NONE, Agreement::plus);
  }
}
