package org.threegate.analysis.engine;

import java.util.List;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;

/**
 * What several runs have in common.
 *
 * @param tensors one for each matrix
 * @param trajectories one for each matrix, if the runs are checkpoints of one run
 * @param failures tensors that are missing in the outcome
 */
public record ConsensusOutcome(
    List<TensorConsensus> tensors, List<TensorTrajectory> trajectories, List<Failure> failures) {}
