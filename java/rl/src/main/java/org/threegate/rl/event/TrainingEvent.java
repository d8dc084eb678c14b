package org.threegate.rl.event;

import java.util.Map;
import org.bytedeco.pytorch.Tensor;

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
   * @param parameters as they are now, where they lie: an observer reads them before it returns
   */
  record StepTaken(long step, Map<String, Double> metrics, Map<String, Tensor> parameters)
      implements TrainingEvent {}

  /**
   * Parameters stayed where they were.
   *
   * @param reason such as that all rewards were equal
   */
  record StepSkipped(long step, String reason, Map<String, Double> metrics)
      implements TrainingEvent {}
}
