package org.threegate.analysis.engine;

import java.util.List;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.pairing.SharedMatrices;

/**
 * The result of comparing several runs.
 *
 * @param tensors one consensus per matrix
 * @param trajectories one trajectory per matrix if the runs are checkpoints of one run; else empty
 * @param shared account of all stored tensors; {@code byName()} is empty
 * @param failures tensors that could not be measured
 */
public record ConsensusOutcome(
    List<TensorConsensus> tensors,
    List<TensorTrajectory> trajectories,
    SharedMatrices shared,
    List<Failure> failures) {}
