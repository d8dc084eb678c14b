package org.threegate.report;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Function;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;

/**
 * Holds the agreement of runs from one base, ready to be rendered.
 *
 * @param provenance how the report was made
 * @param base path of the base
 * @param runs paths of the tuned checkpoints
 * @param coverage where each stored tensor ended
 * @param tensors agreement of the runs in each matrix
 * @param findings verdicts on the claims
 * @param trajectory measures of each matrix if the runs are checkpoints of one run, else empty
 * @param steps training steps of these checkpoints, else empty
 */
public record ConsensusReport(
    Provenance provenance,
    String base,
    List<String> runs,
    Coverage coverage,
    List<TensorConsensus> tensors,
    List<Finding> findings,
    List<TensorTrajectory> trajectory,
    double[] steps) {
  /**
   * How much of the models was compared.
   *
   * @param entries entries of the selected weights, of the checkpoint where the smallest part is
   *     compared
   * @param weights selected weights of that checkpoint
   * @param caveat what to keep in mind when reading the findings; empty if nearly all was compared
   * @param matched pairs of names that differ by a prefix, as "name of the base = name of the run"
   * @param base where each stored tensor of the base ended
   * @param runs where each stored tensor of the tuned checkpoints ended
   */
  public record Coverage(
      Accounting.Share entries,
      Accounting.Share weights,
      Optional<String> caveat,
      List<String> matched,
      Accounting.Side base,
      List<Accounting.Side> runs) {
    /**
     * Describes an account.
     *
     * @param accounting where each stored tensor ended
     * @param matched pairs of names that differ by a prefix
     * @param quantized number of matrices that the base or a run alone stores in a quantized layout
     * @return how much was compared, with a caveat if one is needed
     */
    public static Coverage of(Accounting.OfRuns accounting, List<String> matched, long quantized) {
      List<Accounting.Side> sides = new ArrayList<>(List.of(accounting.base()));
      sides.addAll(accounting.runs());
      Accounting.Side side = Account.smallest(sides);
      return new Coverage(
          side.entries(),
          side.weights(),
          Account.caveat(side, quantized, "compared"),
          matched,
          accounting.base(),
          accounting.runs());
    }

    /** {@return one line, such as "2,189 of 7,680 entries in 1 of 4 tensors were compared"} */
    public String line() {
      return Account.line(entries, weights, "were compared in all runs");
    }
  }

  /** {@return the agreement of each pair of runs over all matrices, in the order of the pairs} */
  public List<Agreement> pairs() {
    List<Agreement> sums = new ArrayList<>();
    for (TensorConsensus tensor : tensors) {
      for (int i = 0; i < tensor.pairs().size(); i++) {
        if (i == sums.size()) {
          sums.add(Agreement.NONE);
        }
        sums.set(i, sums.get(i).plus(tensor.pairs().get(i)));
      }
    }
    return sums;
  }

  /** Returns the index of the pair of two different runs in a list of pairs. */
  int pairIndex(int run, int other) {
    int low = Math.min(run, other);
    int high = Math.max(run, other);
    return low * runs.size() - low * (low + 1) / 2 + high - low - 1;
  }

  /** {@return the agreement over all pairs for each kind of matrix} */
  public Map<String, Agreement> byKind() {
    return group(TensorConsensus::kind);
  }

  /** {@return the agreement over all pairs for each layer} */
  public Map<String, Agreement> byLayer() {
    return group(
        tensor -> tensor.layer().isPresent() ? Integer.toString(tensor.layer().getAsInt()) : "-");
  }

  private Map<String, Agreement> group(Function<TensorConsensus, String> key) {
    Map<String, Agreement> groups = new LinkedHashMap<>();
    tensors.forEach(tensor -> groups.merge(key.apply(tensor), tensor.agreement(), Agreement::plus));
    return groups;
  }

  /**
   * Returns the share of entries that exactly 0, 1, … runs change.
   *
   * @return two rows of runs + 1 numbers: observed, and expected from magnitudes
   */
  public double[][] changedByRuns() {
    double[][] sums = new double[2][runs.size() + 1];
    for (TensorConsensus tensor : tensors) {
      long[] observed = tensor.changedByRuns();
      double[] expected = tensor.changedByRunsNull();
      for (int i = 0; i <= runs.size(); i++) {
        sums[0][i] += observed[i];
        sums[1][i] += expected[i];
      }
    }
    double total = Arrays.stream(sums[0]).sum();
    for (double[] row : sums) {
      for (int i = 0; i < row.length; i++) {
        row[i] /= total;
      }
    }
    return sums;
  }

  /** Returns the trajectory over all matrices, one summary per step. */
  List<StepSummary> stepSummaries() {
    List<StepSummary> summaries = new ArrayList<>();
    for (int i = 0; i < steps.length; i++) {
      summaries.add(StepSummary.of(steps[i], i, trajectory));
    }
    return summaries;
  }
}
