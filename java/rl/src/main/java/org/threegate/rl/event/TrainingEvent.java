package org.threegate.rl.event;

import java.util.Map;
import org.threegate.rl.policy.Decoder;

/** Something that happened in a run. */
public sealed interface TrainingEvent {
  /** Number of the step, from 1. */
  long step();

  /** By the names that TRL gives them, as far as it has them. */
  Map<String, Double> metrics();

  /**
   * Parameters moved.
   *
   * @param metrics by the names that TRL gives them
   * @param policy as it is now: an observer reads its weights before it returns
   */
  record StepTaken(long step, Map<String, Double> metrics, Decoder policy)
      implements TrainingEvent {}

  /**
   * Parameters stayed where they were.
   *
   * @param reason such as that all rewards were equal
   */
  record StepSkipped(long step, String reason, Map<String, Double> metrics)
      implements TrainingEvent {}

  /**
   * An observer measured the model after a step, and tells others.
   *
   * @param of what was measured, such as {@code geometry}
   */
  record Measured(long step, String of, Map<String, Double> metrics) implements TrainingEvent {}
}
