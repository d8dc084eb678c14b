package org.threegate.rl.train;

import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Schedule;
import org.threegate.rl.optimizer.UpdateRule;

/**
 * The hyperparameters of supervised training.
 *
 * @param steps the number of steps of the run
 * @param batch the number of demonstrations per step
 * @param rows the number of sequences that one thread differentiates at a time
 * @param checkpointed whether activations are recomputed in the backward pass to save memory
 * @param longest the maximal length of a demonstration in tokens; the rest is cut off
 * @param rate the peak learning rate
 * @param schedule the learning rate schedule
 * @param optimizer the rule by which the optimizer moves weights
 * @param seed the seed of the order of demonstrations
 */
public record SupervisedOptions(
    long steps,
    int batch,
    int rows,
    boolean checkpointed,
    int longest,
    double rate,
    Schedule schedule,
    UpdateRule optimizer,
    long seed) {
  /**
   * Validates the options.
   *
   * @throws IllegalArgumentException when one of them is out of its range
   */
  public SupervisedOptions {
    if (steps < 1 || batch < 1 || rows < 1 || longest < 2) {
      throw new IllegalArgumentException(
          "steps, batch and rows must be 1 or more, and longest 2 or more");
    }
    if (!(rate > 0 && Double.isFinite(rate))) {
      throw new IllegalArgumentException("rate must be above 0 and finite");
    }
  }

  /**
   * {@return options with a constant learning rate}
   *
   * @param steps the number of steps of the run
   * @param batch the number of demonstrations per step
   * @param longest the maximal length of a demonstration in tokens
   * @param rate the learning rate
   * @param seed the seed of the order of demonstrations
   */
  public static SupervisedOptions of(long steps, int batch, int longest, double rate, long seed) {
    return new SupervisedOptions(
        steps, batch, 64, false, longest, rate, Schedule.constant(), AdamW.DEFAULT, seed);
  }
}
