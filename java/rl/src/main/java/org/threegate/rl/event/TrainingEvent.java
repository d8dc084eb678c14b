package org.threegate.rl.event;

import java.util.List;
import java.util.Map;
import org.bytedeco.pytorch.Tensor;
import org.threegate.rl.policy.Decoder;

/** An event of a training run. */
public sealed interface TrainingEvent {
  /** {@return the number of the step, from 1} */
  long step();

  /** {@return the metrics by name} Names are those of TRL where TRL has the metric. */
  Map<String, Double> metrics();

  /** {@return the metrics with their kinds, in the order of {@link #metrics}} */
  default List<Metric> typed() {
    return metrics().entrySet().stream()
        .map(own -> new Metric(own.getKey(), MetricKind.of(own.getKey()), own.getValue()))
        .toList();
  }

  /** {@return what is known of a step besides its metrics} */
  default StepDetails details() {
    return StepDetails.NONE;
  }

  /**
   * The optimizer updated the parameters.
   *
   * @param step the number of the step, from 1
   * @param metrics the metrics of the step by name
   * @param policy the model after the step. Its weights change in the next step, so that observers
   *     read them before they return
   * @param masters the weights that the optimizer moves, in float32, by the names of the trained
   *     tensors. Those of a model in bfloat16 are rounded to its parameters
   * @param details what is known of the step besides its metrics
   */
  record StepTaken(
      long step,
      Map<String, Double> metrics,
      Decoder policy,
      Map<String, Tensor> masters,
      StepDetails details)
      implements TrainingEvent {
    /**
     * Creates the event of a model that is trained as it is stored, without details.
     *
     * @param step the number of the step, from 1
     * @param metrics the metrics of the step by name
     * @param policy the model after the step
     */
    public StepTaken(long step, Map<String, Double> metrics, Decoder policy) {
      this(step, metrics, policy, Map.of(), StepDetails.NONE);
    }
  }

  /**
   * The step did not change the parameters.
   *
   * @param step the number of the step, from 1
   * @param metrics the metrics of the step by name
   * @param reason the reason, for example that all rewards were equal
   * @param details what is known of the step besides its metrics
   */
  record StepSkipped(long step, String reason, Map<String, Double> metrics, StepDetails details)
      implements TrainingEvent {
    /**
     * Creates the event of a step without details.
     *
     * @param step the number of the step, from 1
     * @param reason the reason
     * @param metrics the metrics of the step by name
     */
    public StepSkipped(long step, String reason, Map<String, Double> metrics) {
      this(step, reason, metrics, StepDetails.NONE);
    }
  }

  /**
   * An observer measured the model after a step, and passes the result on to other observers.
   *
   * @param step the number of the step, from 1
   * @param of the kind of the measurement, such as {@code geometry}
   * @param metrics the results by name
   */
  record Measured(long step, String of, Map<String, Double> metrics) implements TrainingEvent {}
}
