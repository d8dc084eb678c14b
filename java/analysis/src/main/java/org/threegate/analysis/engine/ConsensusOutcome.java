package org.threegate.analysis.engine;

import java.util.List;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;

/**
 * The result of comparing several runs.
 *
 * @param tensors one consensus per matrix
 * @param trajectories one trajectory per matrix if the runs are checkpoints of one run; else empty
 * @param failures tensors that could not be measured
 */
public record ConsensusOutcome(
    List<TensorConsensus> tensors, List<TensorTrajectory> trajectories, List<Failure> failures) {}
