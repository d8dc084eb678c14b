package org.threegate.rl.train;

import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.optimizer.AdamW;
import org.threegate.rl.optimizer.Schedule;
import org.threegate.rl.optimizer.UpdateRule;
import org.threegate.rl.policy.SamplingOptions;

/**
 * The hyperparameters of reinforcement learning. TRL's names are given where they differ.
 *
 * @param steps the number of steps of the run ({@code max_steps})
 * @param prompts the number of prompts per step
 * @param group the number of completions per prompt ({@code num_generations})
 * @param updates the number of updates per batch of completions ({@code num_iterations})
 * @param rounds the maximal number of times that prompts are drawn, until {@code prompts} groups
 *     have differing rewards (DAPO's dynamic sampling, arXiv 2503.14476, section 3.2). 1 turns this
 *     off
 * @param rows the number of sequences that one thread differentiates at a time
 * @param checkpointed whether activations are recomputed in the backward pass to save memory
 *     ({@code gradient_checkpointing})
 * @param sampling how completions are sampled
 * @param objective the objective to minimize
 * @param advantages how advantages are computed from rewards
 * @param kept the completions to learn from
 * @param lengthMargin the number of tokens before the maximal length over which DAPO's length
 *     penalty grows; 0 turns it off
 * @param rate the peak learning rate
 * @param schedule the learning rate schedule
 * @param optimizer the rule by which the optimizer moves weights
 * @param seed the seed of all randomness
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
    UpdateRule optimizer,
    long seed) {
  /** Selects the completions to learn from. */
  public enum Kept {
    /** All completions. */
    ALL,
    /** The groups whose rewards differ. Others have no gradient (arXiv 2503.14476). */
    DIFFERING,
    /** The completions with score 1. With {@link AdvantageRule#ONES} this is rejection sampling. */
    RIGHT
  }

  /**
   * Validates the options.
   *
   * @throws IllegalArgumentException when one of them is out of its range
   */
  public TrainingOptions {
    require(steps >= 1, "steps must be 1 or more");
    require(prompts >= 1 && group >= 2, "prompts must be 1 or more, and group 2 or more");
    require(updates >= 1 && rows >= 1 && rounds >= 1, "updates, rounds and rows must be 1 or more");
    require(
        lengthMargin >= 0 && lengthMargin <= sampling.longest(),
        "lengthMargin must be from 0 to the maximal length");
    require(rate > 0 && Double.isFinite(rate), "rate must be above 0 and finite");
    require(sampling.temperature() > 0, "the temperature must be above 0 in training");
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  /**
   * Starts options with defaults: DAPO's objective, advantages normalized within groups, one update
   * per batch, and a constant learning rate.
   *
   * @param steps the number of steps of the run
   * @param prompts the number of prompts per step
   * @param group the number of completions per prompt
   * @param sampling how completions are sampled
   * @param rate the learning rate
   * @param seed the seed of all randomness
   * @return a builder
   */
  public static Builder builder(
      long steps, int prompts, int group, SamplingOptions sampling, double rate, long seed) {
    return new Builder(steps, prompts, group, sampling, rate, seed);
  }

  /**
   * {@return options with all defaults of {@link #builder}}
   *
   * @param steps the number of steps of the run
   * @param prompts the number of prompts per step
   * @param group the number of completions per prompt
   * @param sampling how completions are sampled
   * @param rate the learning rate
   * @param seed the seed of all randomness
   */
  public static TrainingOptions of(
      long steps, int prompts, int group, SamplingOptions sampling, double rate, long seed) {
    return builder(steps, prompts, group, sampling, rate, seed).build();
  }

  /** Builds options. The methods have the names of the components. */
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
    private UpdateRule optimizer = AdamW.DEFAULT;

    private Builder(
        long steps, int prompts, int group, SamplingOptions sampling, double rate, long seed) {
      this.steps = steps;
      this.prompts = prompts;
      this.group = group;
      this.sampling = sampling;
      this.rate = rate;
      this.seed = seed;
    }

    /**
     * Sets the number of updates per batch of completions.
     *
     * @param value the number, 1 or more
     * @return this builder
     */
    public Builder updates(int value) {
      updates = value;
      return this;
    }

    /**
     * Sets how often prompts are drawn at most, until enough groups have differing rewards.
     *
     * @param value the number, 1 or more
     * @return this builder
     */
    public Builder rounds(int value) {
      rounds = value;
      return this;
    }

    /**
     * Sets the number of sequences that one thread differentiates at a time.
     *
     * @param value the number, 1 or more
     * @return this builder
     */
    public Builder rows(int value) {
      rows = value;
      return this;
    }

    /**
     * Sets whether activations are recomputed in the backward pass.
     *
     * @param value true to save memory at the cost of time
     * @return this builder
     */
    public Builder checkpointed(boolean value) {
      checkpointed = value;
      return this;
    }

    /**
     * Sets the objective to minimize.
     *
     * @param value the objective
     * @return this builder
     */
    public Builder objective(PolicyObjective value) {
      objective = value;
      return this;
    }

    /**
     * Sets how advantages are computed from rewards.
     *
     * @param value the rule
     * @return this builder
     */
    public Builder advantages(AdvantageRule value) {
      advantages = value;
      return this;
    }

    /**
     * Sets the completions to learn from.
     *
     * @param value which completions are kept
     * @return this builder
     */
    public Builder kept(Kept value) {
      kept = value;
      return this;
    }

    /**
     * Sets the number of tokens over which DAPO's length penalty grows.
     *
     * @param value the number, up to the maximal length; 0 turns the penalty off
     * @return this builder
     */
    public Builder lengthMargin(int value) {
      lengthMargin = value;
      return this;
    }

    /**
     * Sets the schedule of the learning rate.
     *
     * @param value the schedule
     * @return this builder
     */
    public Builder schedule(Schedule value) {
      schedule = value;
      return this;
    }

    /**
     * Sets the rule by which the optimizer moves weights.
     *
     * @param value the hyperparameters
     * @return this builder
     */
    public Builder optimizer(UpdateRule value) {
      optimizer = value;
      return this;
    }

    /**
     * {@return the options}
     *
     * @throws IllegalArgumentException when a value is out of its range
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
