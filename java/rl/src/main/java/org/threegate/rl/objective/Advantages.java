package org.threegate.rl.objective;

import java.util.Arrays;
import java.util.stream.DoubleStream;

/**
 * Computes advantages from rewards, as TRL does. Rewards are ordered by group: all completions of
 * one prompt are adjacent. Arrays have the shape [groups * group size]. A reward that is NaN is
 * missing: it counts in no mean, and its advantage is 0.
 *
 * <pre>{@code
 * double[] rewards = {1, 0, 0, 1, 1, 1, 1, 1};
 * double[] advantages = Advantages.normalised(rewards, 4);
 * boolean[] learnable = Advantages.differing(rewards, 4);
 * }</pre>
 */
public final class Advantages {
  // The value that TRL uses.
  private static final double EPSILON = 1e-4;

  private Advantages() {}

  private interface GroupRule {
    double advantage(double[] group, int index, double mean);
  }

  private static double[] byGroup(double[] rewards, int size, GroupRule rule) {
    return known(unfilled(rewards, size, rule));
  }

  private static double[] unfilled(double[] rewards, int size, GroupRule rule) {
    requireGroups(rewards, size);
    double[] advantages = new double[rewards.length];
    for (int begin = 0; begin < rewards.length; begin += size) {
      double[] group = Arrays.copyOfRange(rewards, begin, begin + size);
      double mean = mean(group);
      for (int i = 0; i < size; i++) {
        advantages[begin + i] = rule.advantage(group, i, mean);
      }
    }
    return advantages;
  }

  private static void requireGroups(double[] rewards, int size) {
    if (size < 2 || rewards.length % size != 0) {
      throw new IllegalArgumentException(
          rewards.length + " rewards cannot be split into groups of " + size + " (2 or more)");
    }
  }

  private static DoubleStream present(double[] values) {
    return Arrays.stream(values).filter(value -> !Double.isNaN(value));
  }

  private static double mean(double[] values) {
    return present(values).average().orElse(Double.NaN);
  }

  private static double deviation(double[] values, double mean) {
    double squares = present(values).map(value -> (value - mean) * (value - mean)).sum();
    long count = present(values).count();
    return count > 1 ? Math.sqrt(squares / (count - 1)) : Double.NaN;
  }

  private static double[] known(double[] advantages) {
    return Arrays.stream(advantages).map(value -> Double.isNaN(value) ? 0 : value).toArray();
  }

  /**
   * Sums the rewards of several functions.
   *
   * @param rewards the rewards of each completion, [completions][functions]; NaN where a function
   *     has none
   * @param weights the weight of each function
   * @return one reward per completion, NaN where no function has one
   */
  public static double[] weighted(double[][] rewards, double[] weights) {
    double[] sums = new double[rewards.length];
    for (int i = 0; i < sums.length; i++) {
      requireWeights(rewards[i], weights);
      int known = 0;
      for (int j = 0; j < weights.length; j++) {
        if (!Double.isNaN(rewards[i][j])) {
          sums[i] += weights[j] * rewards[i][j];
          known++;
        }
      }
      sums[i] = known > 0 ? sums[i] : Double.NaN;
    }
    return sums;
  }

  private static void requireWeights(double[] rewards, double[] weights) {
    if (rewards.length != weights.length) {
      throw new IllegalArgumentException(
          weights.length + " weights of " + rewards.length + " reward functions");
    }
  }

  /**
   * Normalizes the rewards of each function within groups, sums them, and normalizes the sums over
   * the batch (GDPO, arXiv 2601.05242; TRL's {@code normalize_then_sum}).
   *
   * @param rewards the rewards of each completion, [completions][functions]
   * @param weights the weight of each function
   * @param groupSize the number of completions per prompt, 2 or more
   * @return one advantage per completion
   */
  public static double[] normalisedThenSummed(double[][] rewards, double[] weights, int groupSize) {
    double[][] each = new double[rewards.length][weights.length];
    for (int j = 0; j < weights.length; j++) {
      double[] own = new double[rewards.length];
      for (int i = 0; i < own.length; i++) {
        requireWeights(rewards[i], weights);
        own[i] = rewards[i][j];
      }
      double[] normalised = normalised(own, groupSize);
      for (int i = 0; i < own.length; i++) {
        each[i][j] = Double.isNaN(own[i]) ? Double.NaN : normalised[i];
      }
    }
    return ofBatch(weighted(each, weights));
  }

  /**
   * Normalizes within groups (GRPO, arXiv 2402.03300): subtracts the group's mean and divides by
   * the group's standard deviation plus 1e-4.
   *
   * @param rewards the rewards, ordered by group
   * @param groupSize the number of completions per prompt, 2 or more
   * @return one advantage per reward
   */
  public static double[] normalised(double[] rewards, int groupSize) {
    return byGroup(
        rewards,
        groupSize,
        (group, i, mean) -> (group[i] - mean) / (deviation(group, mean) + EPSILON));
  }

  /**
   * Subtracts the group's mean, and divides by the standard deviation of the batch's rewards plus
   * 1e-4 (arXiv 2508.08221; TRL's {@code scale_rewards: batch}).
   *
   * @param rewards the rewards, ordered by group
   * @param groupSize the number of completions per prompt, 2 or more
   * @return one advantage per reward
   */
  public static double[] scaledByBatch(double[] rewards, int groupSize) {
    double scale = deviation(rewards, mean(rewards)) + EPSILON;
    return byGroup(rewards, groupSize, (group, i, mean) -> (group[i] - mean) / scale);
  }

  /**
   * Subtracts the group's mean (Dr. GRPO, arXiv 2503.20783).
   *
   * @param rewards the rewards, ordered by group
   * @param groupSize the number of completions per prompt, 2 or more
   * @return one advantage per reward
   */
  public static double[] centred(double[] rewards, int groupSize) {
    return byGroup(rewards, groupSize, (group, i, mean) -> group[i] - mean);
  }

  /**
   * Subtracts the mean of the other rewards of the group (RLOO, arXiv 2402.14740).
   *
   * @param rewards the rewards, ordered by group
   * @param groupSize the number of completions per prompt, 2 or more
   * @return one advantage per reward
   */
  public static double[] leaveOneOut(double[] rewards, int groupSize) {
    return byGroup(rewards, groupSize, Advantages::aboveOthers);
  }

  private static double aboveOthers(double[] group, int index, double mean) {
    double count = present(group).count();
    return (group[index] - mean) * count / (count - 1);
  }

  /**
   * Does the same as {@link #leaveOneOut}, and normalizes over the batch (TRL's {@code
   * normalize_advantages}).
   *
   * @param rewards the rewards, ordered by group
   * @param groupSize the number of completions per prompt, 2 or more
   * @return one advantage per reward
   */
  public static double[] leaveOneOutNormalised(double[] rewards, int groupSize) {
    return ofBatch(unfilled(rewards, groupSize, Advantages::aboveOthers));
  }

  /**
   * Normalizes over the batch (REINFORCE++, arXiv 2501.03262): subtracts the batch's mean and
   * divides by the batch's standard deviation plus 1e-4.
   *
   * @param rewards the rewards of the batch, 2 or more
   * @return one advantage per reward
   */
  public static double[] ofBatch(double[] rewards) {
    if (rewards.length < 2) {
      throw new IllegalArgumentException(
          "a batch must have 2 rewards or more, but has " + rewards.length);
    }
    double mean = mean(rewards);
    double deviation = deviation(rewards, mean) + EPSILON;
    return known(Arrays.stream(rewards).map(reward -> (reward - mean) / deviation).toArray());
  }

  /**
   * Subtracts the group's mean, then normalizes over the batch as {@link #ofBatch} does
   * (REINFORCE++-baseline, arXiv 2501.03262).
   *
   * @param rewards the rewards, ordered by group
   * @param groupSize the number of completions per prompt, 2 or more
   * @return one advantage per reward
   */
  public static double[] ofBatchWithBaseline(double[] rewards, int groupSize) {
    return ofBatch(centred(rewards, groupSize));
  }

  /**
   * Finds the groups whose rewards differ. Groups with equal rewards have no gradient of the
   * policy's loss, and DAPO's dynamic sampling replaces them.
   *
   * @param rewards the rewards, ordered by group
   * @param groupSize the number of completions per prompt, 2 or more
   * @return one flag per group
   */
  public static boolean[] differing(double[] rewards, int groupSize) {
    requireGroups(rewards, groupSize);
    boolean[] differing = new boolean[rewards.length / groupSize];
    for (int i = 0; i < rewards.length; i++) {
      double first = rewards[i / groupSize * groupSize];
      boolean missing = Double.isNaN(first) && Double.isNaN(rewards[i]);
      differing[i / groupSize] |= rewards[i] != first && !missing;
    }
    return differing;
  }

  /**
   * Returns DAPO's soft penalty of overlong completions (arXiv 2503.14476, section 3.4). It is 0 up
   * to {@code longest - margin} tokens, and falls linearly to -1 at {@code longest}.
   *
   * @param tokens the length of the completion in tokens
   * @param longest the maximal length of a completion in tokens
   * @param margin the number of tokens over which the penalty falls, from 1 to {@code longest}
   * @return the penalty, from -1 to 0, to add to the reward
   */
  public static double lengthPenalty(int tokens, int longest, int margin) {
    if (margin < 1 || margin > longest) {
      throw new IllegalArgumentException(
          "margin must be from 1 to longest (" + longest + "), but is " + margin);
    }
    return Math.max(-1, Math.min(0, (longest - margin - tokens) / (double) margin));
  }
}
