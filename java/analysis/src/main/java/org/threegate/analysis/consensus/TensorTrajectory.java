package org.threegate.analysis.consensus;

import java.util.List;
import java.util.OptionalInt;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Totals;

/**
 * The trajectory of one matrix along a run.
 *
 * @param name name of the tensor
 * @param layer layer number; empty for a tensor outside the layers
 * @param kind label of the tensor's role in the model
 * @param steps one element per checkpoint, in order
 * @param linearity R² of straight lines fitted to the values of each weight, including the base
 * @param walkLinearity expected R² of a random walk with increments of the same lengths
 */
public record TensorTrajectory(
    String name,
    OptionalInt layer,
    String kind,
    List<Step> steps,
    double linearity,
    double walkLinearity) {
  /**
   * The update of one checkpoint relative to the base.
   *
   * @param totals counts and sums of the diff
   * @param geometry geometry of the update, as in a comparison
   * @param locking subspace similarity Sim_K of this update and the last one: ‖V_K(ΔW_t)ᵀ
   *     V_K(ΔW_T)‖_F² / K, 1 for the last
   * @param lockingNulls null models of {@code locking}: random subspaces, and updates that form a
   *     random walk
   * @param rowStability correlation of this checkpoint's row profile with that of the last
   *     checkpoint, before and after subtracting the effect of magnitude
   * @param columnStability the same for the column profiles
   */
  public record Step(
      Totals totals,
      TensorGeometry geometry,
      double locking,
      List<NullEstimate> lockingNulls,
      TensorConsensus.Bands rowStability,
      TensorConsensus.Bands columnStability) {}
}
