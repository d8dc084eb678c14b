package org.threegate.analysis.consensus;

import java.util.List;
import java.util.OptionalInt;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Totals;

/**
 * One matrix along a run.
 *
 * @param steps one a checkpoint, in order
 * @param linearity R² of straight lines through every weight's values, the base included
 * @param walkLinearity the same of a random walk with increments of the same lengths
 */
public record TensorTrajectory(
    String name,
    OptionalInt layer,
    String kind,
    List<Step> steps,
    double linearity,
    double walkLinearity) {
  /**
   * One checkpoint against the base.
   *
   * @param totals of the diff
   * @param geometry of the update, as in a comparison
   * @param locking Sim_K of this update and the last: ‖V_K(ΔW_t)ᵀ V_K(ΔW_T)‖_F² / K, 1 for the last
   * @param lockingNulls of random subspaces, and of updates that are a random walk
   * @param rowStability correlation of this checkpoint's row profile with the last one's, and of
   *     what is left of both without magnitude
   */
  public record Step(
      Totals totals,
      TensorGeometry geometry,
      double locking,
      List<NullEstimate> lockingNulls,
      TensorConsensus.Bands rowStability,
      TensorConsensus.Bands columnStability) {}
}
