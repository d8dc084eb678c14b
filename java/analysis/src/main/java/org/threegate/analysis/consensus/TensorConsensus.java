package org.threegate.analysis.consensus;

import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import org.threegate.analysis.diff.ChangeMap;
import org.threegate.analysis.statistics.Against;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Effect;
import org.threegate.analysis.statistics.NullEstimate;

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
   * @param conditional agreement under the model of rows, columns and magnitudes; empty if it was
   *     not fitted
   */
  public record Overlap(
      long[] changed,
      List<Agreement> pairs,
      long[] changedByRuns,
      double[] changedByRunsNull,
      Optional<Conditional> conditional) {
    /** Copies the arrays. */
    public Overlap {
      changed = changed.clone();
      changedByRuns = changedByRuns.clone();
      changedByRunsNull = changedByRunsNull.clone();
    }

    /** {@return a copy of the numbers of changed entries, one per run} */
    @Override
    public long[] changed() {
      return changed.clone();
    }

    /** {@return a copy of the numbers of entries that exactly 0, 1, … runs change} */
    @Override
    public long[] changedByRuns() {
      return changedByRuns.clone();
    }

    /** {@return a copy of the expected values of {@link #changedByRuns}} */
    @Override
    public double[] changedByRunsNull() {
      return changedByRunsNull.clone();
    }
  }

  /**
   * The agreement of pairs of runs beyond what rows, columns and magnitudes explain. Each run's
   * changes are independent under the null, with log odds that are a sum of one number for the row,
   * one for the column and one for the magnitude (THEORY, section 6). The other run is tested as
   * one more covariate, and both directions are averaged.
   *
   * @param expected expected size of the intersections, summed over pairs of runs
   * @param logOdds log odds ratio, averaged over pairs
   * @param se its standard error; pairs are not taken as independent
   */
  public record Conditional(double expected, double logOdds, double se) {}

  /**
   * Positions of the entries that the runs change.
   *
   * @param map changed entries, summed over runs
   * @param heads agreement of the runs within each attention head
   * @param rows similarity of the runs' row profiles
   * @param columns similarity of the runs' column profiles
   */
  public record Places(ChangeMap map, List<Head> heads, Bands rows, Bands columns) {}

  /**
   * The agreement of all pairs of runs within one attention head.
   *
   * @param part projection: {@code q}, {@code k}, {@code v} or {@code o}
   * @param head index of the head
   * @param agreement agreement of the pairs of runs, pooled
   */
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

  /** {@return the number of changed entries, one per run} */
  public long[] changed() {
    return overlap.changed();
  }

  /** {@return the agreement of each pair of runs} */
  public List<Agreement> pairs() {
    return overlap.pairs();
  }

  /** {@return the number of entries that exactly 0, 1, … runs change} */
  public long[] changedByRuns() {
    return overlap.changedByRuns();
  }

  /** {@return the expected values of {@link #changedByRuns} for independent runs} */
  public double[] changedByRunsNull() {
    return overlap.changedByRunsNull();
  }

  /** {@return the changed entries on a coarse grid, summed over runs} */
  public ChangeMap map() {
    return places.map();
  }

  /** {@return the agreement of the runs within each attention head} */
  public List<Head> heads() {
    return places.heads();
  }

  /** {@return the similarity of the runs' row profiles} */
  public Bands rows() {
    return places.rows();
  }

  /** {@return the similarity of the runs' column profiles} */
  public Bands columns() {
    return places.columns();
  }

  /** {@return the agreement of all pairs of runs, pooled} */
  public Agreement agreement() {
    return overlap.pairs().stream().reduce(Agreement.NONE, Agreement::plus);
  }

  /** {@return the agreement beyond rows, columns and magnitudes; empty if it was not fitted} */
  public Optional<Against> againstModel() {
    Agreement pooled = agreement();
    return overlap
        .conditional()
        .map(
            own ->
                new Against(
                    NullEstimate.analytic(
                        "row-column-magnitude",
                        pooled.jaccardOf(own.expected()),
                        pooled.jaccardSd(own.expected(), 1 / (own.se() * own.se()))),
                    new Effect(own.logOdds(), own.se(), Double.POSITIVE_INFINITY)));
  }
}
