package org.threegate.rl.train;

import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Schedule;

/**
 * A run of supervision.
 *
 * @param steps in all
 * @param batch demonstrations a step
 * @param rows of a batch that are differentiated at a time, by one thread
 * @param checkpointed activations are computed again when they are needed, to save memory
 * @param longest tokens of a demonstration, those after it are cut off
 * @param rate the largest learning rate
 * @param schedule of it
 * @param optimizer that follows gradients
 * @param seed of the order of demonstrations
 */
public record SupervisedOptions(
    long steps,
    int batch,
    int rows,
    boolean checkpointed,
    int longest,
    double rate,
    Schedule schedule,
    AdamW.Options optimizer,
    long seed) {
  public SupervisedOptions {
    if (steps < 1 || batch < 1 || rows < 1 || longest < 2) {
      throw new IllegalArgumentException(
          "a run has 1 step, 1 demonstration, 1 row and 2 tokens at least");
    }
    if (!(rate > 0 && Double.isFinite(rate))) {
      throw new IllegalArgumentException("a learning rate is above 0");
    }
  }

  /** At a constant rate. */
  public static SupervisedOptions of(long steps, int batch, int longest, double rate, long seed) {
    return new SupervisedOptions(
        steps, batch, 64, false, longest, rate, Schedule.constant(), AdamW.Options.DEFAULT, seed);
  }
}
