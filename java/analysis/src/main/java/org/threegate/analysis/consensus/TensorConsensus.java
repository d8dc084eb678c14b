package org.threegate.analysis.consensus;

import java.util.List;
import java.util.OptionalInt;
import org.threegate.analysis.diff.ChangeMap;
import org.threegate.analysis.statistics.Agreement;

/**
 * The changes of several runs from the same base in one matrix.
 *
 * @param name name of the tensor
 * @param layer layer number; empty for a tensor outside the layers
 * @param kind label of the tensor's role in the model
 * @param shape dimensions: outputs, inputs
 * @param overlap counts of entries that the runs change and have in common
 * @param places positions of the changed entries
 */
public record TensorConsensus(
    String name, OptionalInt layer, String kind, List<Long> shape, Overlap overlap, Places places) {
  /**
   * Counts of entries that the runs change and have in common.
   *
   * @param changed number of changed entries, one per run
   * @param pairs agreement of the pairs of runs (0, 1), (0, 2), …, (1, 2), …
   * @param changedByRuns number of entries that exactly 0, 1, … runs change; length: number of runs
   *     + 1
   * @param changedByRunsNull expected value of {@code changedByRuns} if the runs were independent
   *     among entries of similar magnitude
   */
  public record Overlap(
      long[] changed, List<Agreement> pairs, long[] changedByRuns, double[] changedByRunsNull) {
    /** Copies the arrays. */
    public Overlap {
      changed = changed.clone();
      changedByRuns = changedByRuns.clone();
      changedByRunsNull = changedByRunsNull.clone();
    }

    @Override
    public long[] changed() {
      return changed.clone();
    }

    @Override
    public long[] changedByRuns() {
      return changedByRuns.clone();
    }

    @Override
    public double[] changedByRunsNull() {
      return changedByRunsNull.clone();
    }
  }

  /**
   * Positions of the entries that the runs change.
   *
   * @param map changed entries, summed over runs
   * @param heads agreement of the runs within each attention head
   * @param rows similarity of the runs' row profiles
   * @param columns similarity of the runs' column profiles
   */
  public record Places(ChangeMap map, List<Head> heads, Bands rows, Bands columns) {}

  /** The agreement of all pairs of runs within one attention head. */
  public record Head(String part, int head, Agreement agreement) {}

  /**
   * Similarity of profiles (changed entries per row or column): Pearson correlations, averaged over
   * pairs of runs.
   *
   * @param correlation correlation of the counts
   * @param beyondMagnitude correlation after subtracting the counts expected from weight magnitudes
   * @param magnitude correlation of the counts with these expected counts, averaged over runs
   * @param nullSd standard deviation of the correlation of two independent profiles
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

  /** Returns the agreement of all pairs of runs, pooled. */
  public Agreement agreement() {
    return overlap.pairs().stream().reduce(Agreement.NONE, Agreement::plus);
  }
}
