package org.threegate.rl.policy;

import java.util.List;
import java.util.Set;

/**
 * How tokens are sampled. The names of transformers' {@code GenerationConfig} are given.
 *
 * @param temperature the divisor of the logits ({@code temperature}); 0 is greedy decoding
 * @param topProbability the probability mass of nucleus sampling (arXiv 1904.09751, {@code top_p});
 *     1 turns it off
 * @param mostLikely the number of most likely tokens to sample from ({@code top_k}); 0 turns it off
 * @param longest the maximal number of tokens of a completion, up to 1,048,576 ({@code
 *     max_new_tokens})
 * @param stops the tokens that end a completion. They are part of it
 */
public record SamplingOptions(
    double temperature, double topProbability, int mostLikely, int longest, Set<Integer> stops) {
  private static final int MOST_TOKENS = 1 << 20;

  /**
   * Validates the options.
   *
   * @throws IllegalArgumentException when one of them is out of its range
   */
  public SamplingOptions {
    stops = Set.copyOf(stops);
    require(
        temperature >= 0 && Double.isFinite(temperature),
        "temperature must be 0 or more, and finite");
    require(
        topProbability > 0 && topProbability <= 1, "topProbability must be above 0 and at most 1");
    require(mostLikely >= 0, "mostLikely must be 0 or more");
    require(longest >= 1, "longest must be 1 or more");
    require(longest <= MOST_TOKENS, "longest must be at most " + MOST_TOKENS);
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  /**
   * {@return options that sample from all tokens at temperature 1}
   *
   * @param longest the maximal number of tokens of a completion
   * @param stops the tokens that end a completion
   */
  public static SamplingOptions plain(int longest, List<Integer> stops) {
    return new SamplingOptions(1, 1, 0, longest, Set.copyOf(stops));
  }
}
