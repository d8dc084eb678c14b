package org.threegate.rl.objective;

import java.util.Arrays;

/**
 * Advantages from rewards. Completions of one prompt, a group, lie one behind the other.
 *
 * <pre>{@code
 * double[] rewards = {1, 0, 0, 1, 1, 1, 1, 1};
 * double[] advantages = Advantages.normalised(rewards, 4);
 * boolean[] learnable = Advantages.differing(rewards, 4);
 * }</pre>
 */
public final class Advantages {
  // As TRL has it.
  private static final double EPSILON = 1e-4;

  private Advantages() {}

  private interface GroupRule {
    double advantage(double[] group, int index, double mean);
  }

  private static double[] byGroup(double[] rewards, int size, GroupRule rule) {
    requireGroups(rewards, size);
    double[] advantages = new double[rewards.length];
    for (int begin = 0; begin < rewards.length; begin += size) {
      double[] group = Arrays.copyOfRange(rewards, begin, begin + size);
      double mean = Arrays.stream(group).average().orElseThrow();
      for (int i = 0; i < size; i++) {
        advantages[begin + i] = rule.advantage(group, i, mean);
      }
    }
    return advantages;
  }

  private static void requireGroups(double[] rewards, int size) {
    if (size < 2 || rewards.length % size != 0) {
      throw new IllegalArgumentException(
          rewards.length + " rewards in groups of " + size + "; groups have 2 members at least");
    }
  }

  private static double deviation(double[] values, double mean) {
    double squares = Arrays.stream(values).map(value -> (value - mean) * (value - mean)).sum();
    return Math.sqrt(squares / (values.length - 1));
  }

  /** GRPO (arXiv 2402.03300): less the group's mean, over its standard deviation and 1e-4. */
  public static double[] normalised(double[] rewards, int groupSize) {
    return byGroup(
        rewards,
        groupSize,
        (group, i, mean) -> (group[i] - mean) / (deviation(group, mean) + EPSILON));
  }

  /** Dr. GRPO (arXiv 2503.20783): less the group's mean. */
  public static double[] centred(double[] rewards, int groupSize) {
    return byGroup(rewards, groupSize, (group, i, mean) -> group[i] - mean);
  }

  /** RLOO (arXiv 2402.14740): less the mean of the group's others. */
  public static double[] leaveOneOut(double[] rewards, int groupSize) {
    return byGroup(
        rewards,
        groupSize,
        (group, i, mean) -> (group[i] - mean) * group.length / (group.length - 1));
  }

  /**
   * REINFORCE++ (arXiv 2501.03262): less the mean of the batch, over its standard deviation and
   * 1e-4.
   */
  public static double[] ofBatch(double[] rewards) {
    if (rewards.length < 2) {
      throw new IllegalArgumentException("a batch of " + rewards.length + " rewards; 2 at least");
    }
    double mean = Arrays.stream(rewards).average().orElseThrow();
    double deviation = deviation(rewards, mean) + EPSILON;
    return Arrays.stream(rewards).map(reward -> (reward - mean) / deviation).toArray();
  }

  /** Its variant with a baseline: less the group's mean, then as {@link #ofBatch}. */
  public static double[] ofBatchWithBaseline(double[] rewards, int groupSize) {
    return ofBatch(centred(rewards, groupSize));
  }

  /** Of each group whether its rewards differ: others teach nothing, and DAPO samples again. */
  public static boolean[] differing(double[] rewards, int groupSize) {
    requireGroups(rewards, groupSize);
    boolean[] differing = new boolean[rewards.length / groupSize];
    for (int i = 0; i < rewards.length; i++) {
      differing[i / groupSize] |= rewards[i] != rewards[i / groupSize * groupSize];
    }
    return differing;
  }

  /**
   * DAPO's penalty of completions that are too long (arXiv 2503.14476, section 3.4): 0 up to {@code
   * longest - margin} tokens, then falling to -1 at {@code longest}.
   */
  public static double lengthPenalty(int tokens, int longest, int margin) {
    if (margin < 1 || margin > longest) {
      throw new IllegalArgumentException(
          "a margin of " + margin + " tokens before the longest, " + longest);
    }
    return Math.max(-1, Math.min(0, (longest - margin - tokens) / (double) margin));
  }
}
