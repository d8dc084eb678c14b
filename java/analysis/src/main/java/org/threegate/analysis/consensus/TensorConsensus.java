package org.threegate.analysis.consensus;

import java.util.List;
import java.util.OptionalInt;
import org.threegate.analysis.diff.ChangeMap;
import org.threegate.analysis.statistics.Agreement;

/**
 * What several runs from one base change in one matrix.
 *
 * @param name of the tensor
 * @param layer its number, where the tensor is in one
 * @param kind label of the part that the tensor plays in the model
 * @param shape outputs and inputs
 * @param overlap how many entries the runs change, and share
 * @param places where these entries are
 */
public record TensorConsensus(
    String name, OptionalInt layer, String kind, List<Long> shape, Overlap overlap, Places places) {
  /**
   * How many entries the runs change, and share.
   *
   * @param changed entries, by run
   * @param pairs agreements of runs (0, 1), (0, 2), …, (1, 2), …
   * @param changedByRuns entries that exactly 0, 1, … runs change
   * @param changedByRunsNull the same if, among entries of about the same magnitude, runs were
   *     independent
   */
  public record Overlap(
      long[] changed, List<Agreement> pairs, long[] changedByRuns, double[] changedByRunsNull) {}

  /**
   * Where the entries are that the runs change.
   *
   * @param map entries changed, summed over runs
   * @param heads agreement of the runs within each head
   * @param rows how alike the runs' row profiles are
   * @param columns the same of columns
   */
  public record Places(ChangeMap map, List<Head> heads, Bands rows, Bands columns) {}

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

  public long[] changed() {
    return overlap.changed();
  }

  public List<Agreement> pairs() {
    return overlap.pairs();
  }

  public long[] changedByRuns() {
    return overlap.changedByRuns();
  }

  public double[] changedByRunsNull() {
    return overlap.changedByRunsNull();
  }

  public ChangeMap map() {
    return places.map();
  }

  public List<Head> heads() {
    return places.heads();
  }

  public Bands rows() {
    return places.rows();
  }

  public Bands columns() {
    return places.columns();
  }

  /** Returns the agreement of all pairs together. */
  public Agreement agreement() {
    return overlap.pairs().stream().reduce(Agreement.NONE, Agreement::plus);
  }
}
