package org.threegate.rl.train;

import java.util.List;
import org.threegate.rl.objective.Advantages;
import org.threegate.rl.objective.PolicyObjective.Penalty;

/**
 * How the scores of several reward functions become one reward, with TRL's names.
 *
 * <pre>{@code
 * RewardOptions options = RewardOptions.DEFAULT.withWeights(List.of(1.0, 0.2));
 * }</pre>
 *
 * @param weights the weight of each reward function ({@code reward_weights}); empty for weights 1
 * @param aggregation the order of sum and normalization ({@code multi_objective_aggregation})
 * @param least rewards below are raised to it ({@code reward_clip_range})
 * @param most rewards above are lowered to it
 * @param penalty the divergence from the reference model that is subtracted from the reward, summed
 *     over the tokens, as TRL's {@code RLOOTrainer} does. Its bias correction has no effect
 */
public record RewardOptions(
    List<Double> weights, Aggregation aggregation, double least, double most, Penalty penalty) {
  /** The order of sum and normalization, with TRL's names. */
  public enum Aggregation {
    /** The weighted sum is normalized. */
    SUM_THEN_NORMALIZE,
    /** Each function is normalized within groups, then the weighted sum over the batch. */
    NORMALIZE_THEN_SUM
  }

  /** The sum of all functions. */
  public static final RewardOptions DEFAULT =
      new RewardOptions(
          List.of(),
          Aggregation.SUM_THEN_NORMALIZE,
          Double.NEGATIVE_INFINITY,
          Double.POSITIVE_INFINITY,
          Penalty.NONE);

  /**
   * Copies the weights.
   *
   * @throws IllegalArgumentException when a weight is not finite or the bounds are not in order
   */
  public RewardOptions {
    weights = List.copyOf(weights);
    if (!weights.stream().allMatch(Double::isFinite)) {
      throw new IllegalArgumentException("weights must be finite");
    }
    if (!(least < most)) {
      throw new IllegalArgumentException("least must be below most");
    }
  }

  /**
   * {@return the options with other weights}
   *
   * @param value the weight of each reward function
   */
  public RewardOptions withWeights(List<Double> value) {
    return new RewardOptions(value, aggregation, least, most, penalty);
  }

  /**
   * {@return the options with another order of sum and normalization}
   *
   * @param value the order
   */
  public RewardOptions withAggregation(Aggregation value) {
    return new RewardOptions(weights, value, least, most, penalty);
  }

  /**
   * {@return the options with bounds of the reward}
   *
   * @param from the least reward
   * @param to the largest reward
   */
  public RewardOptions withBounds(double from, double to) {
    return new RewardOptions(weights, aggregation, from, to, penalty);
  }

  /**
   * {@return the options with a divergence that is subtracted from the reward}
   *
   * @param value the penalty
   */
  public RewardOptions withPenalty(Penalty value) {
    return new RewardOptions(weights, aggregation, least, most, value);
  }

  /**
   * {@return the weight of each function}
   *
   * @param functions the number of functions. Functions without a weight of their own have 1
   */
  public double[] weights(int functions) {
    double[] all = new double[functions];
    for (int i = 0; i < functions; i++) {
      all[i] = i < weights.size() ? weights.get(i) : 1;
    }
    return all;
  }

  /**
   * Computes the advantages of completions.
   *
   * @param scores the scores of each completion, [completions][functions], ordered by group; NaN
   *     where a function has none
   * @param divergences the divergence of each completion from the reference model, which the
   *     penalty weighs
   * @param rule how advantages follow from rewards
   * @param groupSize the number of completions per prompt, 2 or more
   * @return one advantage per completion
   */
  public double[] advantages(
      double[][] scores, double[] divergences, AdvantageRule rule, int groupSize) {
    double[] weighed = weights(scores[0].length);
    if (aggregation == Aggregation.NORMALIZE_THEN_SUM) {
      return Advantages.normalisedThenSummed(scores, weighed, groupSize);
    }
    double[] rewards = Advantages.weighted(scores, weighed);
    for (int i = 0; i < rewards.length; i++) {
      rewards[i] = Math.max(least, Math.min(most, rewards[i])) - penalty.beta() * divergences[i];
    }
    return rule.advantages(rewards, groupSize);
  }
}
