package org.threegate.rl.policy;

import java.util.List;
import java.util.Set;

/**
 * How tokens are drawn.
 *
 * @param temperature by which logits are divided; 0: the likeliest token, always
 * @param topProbability the smallest set of likeliest tokens whose probabilities reach it is drawn
 *     from (arXiv 1904.09751); 1: all
 * @param mostLikely how many of the likeliest are drawn from; 0: all
 * @param longest most tokens of a completion, 1,048,576 at most
 * @param stops tokens that end one; they belong to it
 */
public record SamplingOptions(
    double temperature, double topProbability, int mostLikely, int longest, Set<Integer> stops) {
  private static final int MOST_TOKENS = 1 << 20;

  public SamplingOptions {
    stops = Set.copyOf(stops);
    require(temperature >= 0 && Double.isFinite(temperature), "a temperature is 0 or more");
    require(
        topProbability > 0 && topProbability <= 1, "a top probability is above 0 and at most 1");
    require(mostLikely >= 0, "how many of the likeliest is 0 or more");
    require(longest >= 1, "a completion has 1 token at least");
    require(longest <= MOST_TOKENS, "a completion has " + MOST_TOKENS + " tokens at most");
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  /** From all tokens at temperature 1, until one of {@code stops}. */
  public static SamplingOptions plain(int longest, List<Integer> stops) {
    return new SamplingOptions(1, 1, 0, longest, Set.copyOf(stops));
  }
}
