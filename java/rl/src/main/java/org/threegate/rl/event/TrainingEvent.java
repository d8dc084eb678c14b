package org.threegate.rl.event;

import java.util.Map;
import org.threegate.rl.policy.Decoder;

/** An event of a training run. */
public sealed interface TrainingEvent {
  /** {@return the number of the step, from 1} */
  long step();

  /** {@return the metrics by name} Names are those of TRL where TRL has the metric. */
  Map<String, Double> metrics();

  /**
   * The optimizer updated the parameters.
   *
   * @param step the number of the step, from 1
   * @param metrics the metrics of the step by name
   * @param policy the model after the step. Its weights change in the next step, so that observers
   *     read them before they return
   */
  record StepTaken(long step, Map<String, Double> metrics, Decoder policy)
      implements TrainingEvent {}

  /**
   * The step did not change the parameters.
   *
   * @param step the number of the step, from 1
   * @param metrics the metrics of the step by name
   * @param reason the reason, for example that all rewards were equal
   */
  record StepSkipped(long step, String reason, Map<String, Double> metrics)
      implements TrainingEvent {}

  /**
   * An observer measured the model after a step, and passes the result on to other observers.
   *
   * @param step the number of the step, from 1
   * @param of the kind of the measurement, such as {@code geometry}
   * @param metrics the results by name
   */
  record Measured(long step, String of, Map<String, Double> metrics) implements TrainingEvent {}
}
