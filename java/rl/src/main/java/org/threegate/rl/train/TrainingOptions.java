package org.threegate.rl.train;

import java.util.Optional;
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
 * @param iterations the number of passes over the completions of a step ({@code num_iterations})
 * @param miniBatches the number of updates that a pass is split into ({@code
 *     steps_per_generation}). Completions are shuffled and dealt to them
 * @param rounds the maximal number of times that prompts are drawn, until {@code prompts} groups
 *     have differing rewards (DAPO's dynamic sampling, arXiv 2503.14476, section 3.2). 1 turns this
 *     off
 * @param rows the number of sequences that one thread differentiates at a time
 * @param checkpointed whether activations are recomputed in the backward pass to save memory
 *     ({@code gradient_checkpointing})
 * @param sampling how completions are sampled
 * @param objective the objective to minimize
 * @param advantages how advantages are computed from rewards
 * @param rewards how scores become rewards
 * @param kept the completions to learn from
 * @param isTruncatedMasked whether completions that reached the maximal length count in no loss
 *     ({@code mask_truncated_completions})
 * @param sync how the reference model follows the policy, if it does
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
    int iterations,
    int miniBatches,
    int rounds,
    int rows,
    boolean checkpointed,
    SamplingOptions sampling,
    PolicyObjective objective,
    AdvantageRule advantages,
    RewardOptions rewards,
    Kept kept,
    boolean isTruncatedMasked,
    Optional<ReferenceSync> sync,
    int lengthMargin,
    double rate,
    Schedule schedule,
    UpdateRule optimizer,
    long seed) {
  /** Selects the completions to learn from. */
  public enum Kept {
    /** All completions, as TRL does. */
    ALL,
    /** The groups whose rewards differ (DAPO, arXiv 2503.14476, section 3.2). */
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
    require(iterations >= 1 && rows >= 1, "iterations and rows must be 1 or more");
    require(rounds == 1 || kept == Kept.DIFFERING, "rounds must be 1 unless groups are selected");
    require(rounds >= 1, "rounds must be 1 or more");
    require(
        miniBatches >= 1 && (long) prompts * group % miniBatches == 0,
        "miniBatches must divide the number of completions");
    require(
        lengthMargin >= 0 && lengthMargin <= sampling.longest(),
        "lengthMargin must be from 0 to the maximal length");
    require(rate > 0 && Double.isFinite(rate), "rate must be above 0 and finite");
    require(sampling.temperature() > 0, "the temperature must be above 0 in training");
  }

  /** {@return whether a reference model is needed} */
  boolean isReferenced() {
    return objective.isPenalized() || rewards.penalty().beta() > 0;
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  /**
   * Starts options with the defaults of TRL: its objective, advantages normalized within groups,
   * one update per step. The learning rate is constant.
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
    private int iterations = 1;
    private int miniBatches = 1;
    private int rounds = 1;
    private int rows = 64;
    private boolean checkpointed = false;
    private PolicyObjective objective = PolicyObjective.builder().build();
    private AdvantageRule advantages = AdvantageRule.NORMALISED;
    private RewardOptions rewards = RewardOptions.DEFAULT;
    private Kept kept = Kept.ALL;
    private boolean isTruncatedMasked = false;
    private Optional<ReferenceSync> sync = Optional.empty();
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
     * Sets the number of passes over the completions of a step.
     *
     * @param value the number, 1 or more
     * @return this builder
     */
    public Builder iterations(int value) {
      iterations = value;
      return this;
    }

    /**
     * Sets the number of updates that a pass is split into.
     *
     * @param value the number, which divides the number of completions of a step
     * @return this builder
     */
    public Builder miniBatches(int value) {
      miniBatches = value;
      return this;
    }

    /**
     * Sets how often prompts are drawn at most, until enough groups have differing rewards. More
     * than once requires {@link Kept#DIFFERING}.
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
     * Sets how scores become rewards.
     *
     * @param value the options
     * @return this builder
     */
    public Builder rewards(RewardOptions value) {
      rewards = value;
      return this;
    }

    /**
     * Sets whether completions that reached the maximal length count in no loss.
     *
     * @param value true to leave them out
     * @return this builder
     */
    public Builder truncatedMasked(boolean value) {
      isTruncatedMasked = value;
      return this;
    }

    /**
     * Moves the reference model towards the policy.
     *
     * @param value how it follows
     * @return this builder
     */
    public Builder sync(ReferenceSync value) {
      sync = Optional.of(value);
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
          iterations,
          miniBatches,
          rounds,
          rows,
          checkpointed,
          sampling,
          objective,
          advantages,
          rewards,
          kept,
          isTruncatedMasked,
          sync,
          lengthMargin,
          rate,
          schedule,
          optimizer,
          seed);
    }
  }
}
