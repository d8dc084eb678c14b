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
 * @param kept which completions are learnt from
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
    Kept kept,
    int lengthMargin,
    double rate,
    Schedule schedule,
    AdamW.Options optimizer,
    long seed) {
  /** Which completions are learnt from. */
  public enum Kept {
    ALL,
    /** Those of groups whose rewards differ; others teach nothing (arXiv 2503.14476). */
    DIFFERING,
    /** Those that scored 1: with {@link AdvantageRule#ONES} this is rejection sampling. */
    RIGHT
  }

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
   * Of DAPO's objective with groups' normalised advantages, one update a batch, a constant rate,
   * unless it is told otherwise.
   *
   * @param rate of learning
   */
  public static Builder builder(
      long steps, int prompts, int group, SamplingOptions sampling, double rate, long seed) {
    return new Builder(steps, prompts, group, sampling, rate, seed);
  }

  /** {@link #builder} that nothing else is told. */
  public static TrainingOptions of(
      long steps, int prompts, int group, SamplingOptions sampling, double rate, long seed) {
    return builder(steps, prompts, group, sampling, rate, seed).build();
  }

  /** Options on their way, by the names of the components. */
  public static final class Builder {
    private final long steps;
    private final int prompts;
    private final int group;
    private final SamplingOptions sampling;
    private final double rate;
    private final long seed;
    private int updates = 1;
    private int rounds = 1;
    private int rows = 64;
    private boolean checkpointed = false;
    private PolicyObjective objective = PolicyObjective.DAPO;
    private AdvantageRule advantages = AdvantageRule.NORMALISED;
    private Kept kept = Kept.DIFFERING;
    private int lengthMargin = 0;
    private Schedule schedule = Schedule.constant();
    private AdamW.Options optimizer = AdamW.Options.DEFAULT;

    private Builder(
        long steps, int prompts, int group, SamplingOptions sampling, double rate, long seed) {
      this.steps = steps;
      this.prompts = prompts;
      this.group = group;
      this.sampling = sampling;
      this.rate = rate;
      this.seed = seed;
    }

    public Builder updates(int value) {
      updates = value;
      return this;
    }

    public Builder rounds(int value) {
      rounds = value;
      return this;
    }

    public Builder rows(int value) {
      rows = value;
      return this;
    }

    public Builder checkpointed(boolean value) {
      checkpointed = value;
      return this;
    }

    public Builder objective(PolicyObjective value) {
      objective = value;
      return this;
    }

    public Builder advantages(AdvantageRule value) {
      advantages = value;
      return this;
    }

    public Builder kept(Kept value) {
      kept = value;
      return this;
    }

    public Builder lengthMargin(int value) {
      lengthMargin = value;
      return this;
    }

    public Builder schedule(Schedule value) {
      schedule = value;
      return this;
    }

    public Builder optimizer(AdamW.Options value) {
      optimizer = value;
      return this;
    }

    /**
     * @throws IllegalArgumentException for what no run can have
     */
    public TrainingOptions build() {
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
          kept,
          lengthMargin,
          rate,
          schedule,
          optimizer,
          seed);
    }
  }
}
