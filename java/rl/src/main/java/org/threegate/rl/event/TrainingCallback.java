package org.threegate.rl.event;

import java.util.Map;

/**
 * Decides after each step whether a run goes on, and how. In contrast to a {@link
 * TrainingObserver}, it has an effect on the run. Its decisions and its state are in the
 * checkpoints, so that a resumed run goes on as an uninterrupted one. They have to follow from the
 * events, and not from the clock.
 *
 * <pre>{@code
 * TrainingCallback enough =
 *     event ->
 *         event.metrics().getOrDefault("reward", 0.0) > 0.9
 *             ? Decision.stop("the reward is above 0.9")
 *             : Decision.GO_ON;
 * }</pre>
 */
@FunctionalInterface
public interface TrainingCallback {
  /**
   * Decides after an event: that of a step, or the {@link TrainingEvent.Measured} of an evaluation.
   *
   * @param event the event
   * @return the decision
   */
  Decision after(TrainingEvent event);

  /** {@return what the callback needs to go on from a checkpoint, by name} */
  default Map<String, String> state() {
    return Map.of();
  }

  /**
   * Goes on from a checkpoint.
   *
   * @param state what {@link #state} returned when the checkpoint was written
   * @throws IllegalArgumentException when the state is not one of this callback
   */
  default void restore(Map<String, String> state) {}
}
