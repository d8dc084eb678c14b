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
 * @param rounds of prompts that are drawn at most until {@code prompts} groups have differing
 *     rewards (DAPO's dynamic sampling, arXiv 2503.14476, section 3.2); 1: what is drawn is taken
 * @param rows of a batch that are differentiated at a time, by one thread
 * @param checkpointed activations are computed again when they are needed, to save memory
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
    int rounds,
    int rows,
    boolean checkpointed,
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
    require(updates >= 1 && rows >= 1 && rounds >= 1, "updates, rounds and rows are 1 at least");
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
        1,
        64,
        false,
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

  /** With so many updates of the same completions. */
  public TrainingOptions withUpdates(int updates) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        updates,
        rounds,
        rows,
        checkpointed,
        sampling,
        objective,
        advantages,
        dropEqual,
        lengthMargin,
        rate,
        schedule,
        optimizer,
        seed);
  }

  /** With so many rounds of prompts at most. */
  public TrainingOptions withRounds(int rounds) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        updates,
        rounds,
        rows,
        checkpointed,
        sampling,
        objective,
        advantages,
        dropEqual,
        lengthMargin,
        rate,
        schedule,
        optimizer,
        seed);
  }

  /** With so many rows at a time. */
  public TrainingOptions withRows(int rows) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        updates,
        rounds,
        rows,
        checkpointed,
        sampling,
        objective,
        advantages,
        dropEqual,
        lengthMargin,
        rate,
        schedule,
        optimizer,
        seed);
  }

  /** With activations computed again, or kept. */
  public TrainingOptions withCheckpointed(boolean checkpointed) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        updates,
        rounds,
        rows,
        checkpointed,
        sampling,
        objective,
        advantages,
        dropEqual,
        lengthMargin,
        rate,
        schedule,
        optimizer,
        seed);
  }

  /** With another objective. */
  public TrainingOptions withObjective(PolicyObjective objective) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        updates,
        rounds,
        rows,
        checkpointed,
        sampling,
        objective,
        advantages,
        dropEqual,
        lengthMargin,
        rate,
        schedule,
        optimizer,
        seed);
  }

  /** With another rule for advantages. */
  public TrainingOptions withAdvantages(AdvantageRule advantages) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        updates,
        rounds,
        rows,
        checkpointed,
        sampling,
        objective,
        advantages,
        dropEqual,
        lengthMargin,
        rate,
        schedule,
        optimizer,
        seed);
  }

  /** With groups of equal rewards left out, or not. */
  public TrainingOptions withDropEqual(boolean dropEqual) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        updates,
        rounds,
        rows,
        checkpointed,
        sampling,
        objective,
        advantages,
        dropEqual,
        lengthMargin,
        rate,
        schedule,
        optimizer,
        seed);
  }

  /** With such a margin before the longest completion. */
  public TrainingOptions withLengthMargin(int lengthMargin) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        updates,
        rounds,
        rows,
        checkpointed,
        sampling,
        objective,
        advantages,
        dropEqual,
        lengthMargin,
        rate,
        schedule,
        optimizer,
        seed);
  }

  /** With another schedule. */
  public TrainingOptions withSchedule(Schedule schedule) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        updates,
        rounds,
        rows,
        checkpointed,
        sampling,
        objective,
        advantages,
        dropEqual,
        lengthMargin,
        rate,
        schedule,
        optimizer,
        seed);
  }

  /** With other options of the optimizer. */
  public TrainingOptions withOptimizer(AdamW.Options optimizer) {
    return new TrainingOptions(
        steps,
        prompts,
        group,
        updates,
        rounds,
        rows,
        checkpointed,
        sampling,
        objective,
        advantages,
        dropEqual,
        lengthMargin,
        rate,
        schedule,
        optimizer,
        seed);
  }
}
