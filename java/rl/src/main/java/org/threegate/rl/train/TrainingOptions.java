package org.threegate.rl.train;

import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Schedule;
import org.threegate.rl.policy.SamplingOptions;

/**
 * A run of reinforcement.
 *
 * @param steps in all
 * @param prompts a step
 * @param group completions of each
 * @param updates of the same completions, 1 at least
 * @param rows of a batch that are differentiated at a time
 * @param sampling of completions
 * @param objective that is minimised
 * @param advantages of rewards
 * @param dropEqual groups whose rewards are equal are left out
 * @param lengthMargin tokens before the longest in which completions are punished; 0: they are not
 * @param rate the largest learning rate
 * @param schedule of it
 * @param optimizer that follows gradients
 * @param seed of everything that is drawn
 */
public record TrainingOptions(
    long steps,
    int prompts,
    int group,
    int updates,
    int rows,
    SamplingOptions sampling,
    PolicyObjective objective,
    AdvantageRule advantages,
    boolean dropEqual,
    int lengthMargin,
    double rate,
    Schedule schedule,
    AdamW.Options optimizer,
    long seed) {
  public TrainingOptions {
    require(steps >= 1, "a run has 1 step at least");
    require(prompts >= 1 && group >= 2, "a step has 1 prompt and 2 completions of it at least");
    require(updates >= 1 && rows >= 1, "updates and rows are 1 at least");
    require(lengthMargin >= 0 && lengthMargin <= sampling.longest(), "a margin within the length");
    require(rate > 0 && Double.isFinite(rate), "a learning rate is above 0");
    require(sampling.temperature() > 0, "completions are drawn, at a temperature above 0");
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  /**
   * DAPO's objective with groups' normalised advantages, one update a batch, a constant rate.
   *
   * @param rate of learning
   */
  public static TrainingOptions of(
      long steps, int prompts, int group, SamplingOptions sampling, double rate, long seed) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        1,
        256,
        sampling,
        PolicyObjective.DAPO,
        AdvantageRule.NORMALISED,
        true,
        0,
        rate,
        Schedule.constant(),
        AdamW.Options.DEFAULT,
        seed);
  }
}
