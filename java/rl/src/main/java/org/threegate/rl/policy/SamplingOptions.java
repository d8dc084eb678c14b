package org.threegate.rl.policy;

import java.util.List;
import java.util.Set;
import org.threegate.run.PrintableText;

/**
 * How tokens are sampled. The names of transformers' {@code GenerationConfig} are given. The
 * options apply in the order of its logits processors: repetition penalty, temperature, {@code
 * top_k}, {@code top_p}, {@code min_p}.
 *
 * @param temperature the divisor of the logits ({@code temperature}); 0 is greedy decoding, for
 *     which only the repetition penalty counts
 * @param topP the probability mass of nucleus sampling (arXiv 1904.09751, {@code top_p}); 1 turns
 *     it off
 * @param topK the number of most likely tokens to sample from ({@code top_k}); 0 turns it off
 * @param minP the least probability of a token, as a share of that of the most likely one (arXiv
 *     2407.01082, {@code min_p}); 0 turns it off
 * @param repetitionPenalty the number that positive logits of the tokens in prompt and completion
 *     are divided by, and negative ones multiplied (arXiv 1909.05858, {@code repetition_penalty});
 *     1 turns it off
 * @param longest the maximal number of tokens of a completion, up to 1,048,576 ({@code
 *     max_new_tokens})
 * @param stops the tokens that end a completion ({@code eos_token_id}). They are part of it
 * @param stopStrings the texts that end a completion when its last token has their end ({@code
 *     stop_strings}). They are part of it
 */
public record SamplingOptions(
    double temperature,
    double topP,
    int topK,
    double minP,
    double repetitionPenalty,
    int longest,
    Set<Integer> stops,
    List<String> stopStrings) {
  private static final int MOST_TOKENS = 1 << 20;
  private static final int MOST_STRINGS = 64;
  private static final int LONGEST_STRING = 256; // characters

  /**
   * Validates the options.
   *
   * @throws IllegalArgumentException when one of them is out of its range
   */
  public SamplingOptions {
    stops = Set.copyOf(stops);
    stopStrings = List.copyOf(stopStrings);
    require(
        temperature >= 0 && Double.isFinite(temperature),
        "temperature must be 0 or more, and finite");
    require(topP > 0 && topP <= 1, "top_p must be above 0 and at most 1");
    require(topK >= 0, "top_k must be 0 or more");
    require(minP >= 0 && minP <= 1, "min_p must be from 0 to 1");
    require(
        repetitionPenalty > 0 && Double.isFinite(repetitionPenalty),
        "repetition_penalty must be above 0 and finite");
    require(longest >= 1, "longest must be 1 or more");
    require(longest <= MOST_TOKENS, "longest must be at most " + MOST_TOKENS);
    require(stopStrings.size() <= MOST_STRINGS, "stop_strings must be at most " + MOST_STRINGS);
    for (String text : stopStrings) {
      require(
          !text.isEmpty() && text.length() <= LONGEST_STRING,
          "stop_strings must have 1 to "
              + LONGEST_STRING
              + " characters, not \""
              + PrintableText.name(text)
              + '"');
    }
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  /**
   * {@return the options with another maximal length}
   *
   * @param value the maximal number of tokens of a completion
   */
  public SamplingOptions withLongest(int value) {
    return new SamplingOptions(
        temperature, topP, topK, minP, repetitionPenalty, value, stops, stopStrings);
  }

  /**
   * {@return the options with other stop strings}
   *
   * @param value the texts that end a completion
   */
  public SamplingOptions withStopStrings(List<String> value) {
    return new SamplingOptions(
        temperature, topP, topK, minP, repetitionPenalty, longest, stops, value);
  }

  /**
   * {@return options that sample from all tokens at temperature 1}
   *
   * @param longest the maximal number of tokens of a completion
   * @param stops the tokens that end a completion
   */
  public static SamplingOptions plain(int longest, List<Integer> stops) {
    return builder(longest, stops).build();
  }

  /**
   * Starts options that sample from all tokens at temperature 1.
   *
   * @param longest the maximal number of tokens of a completion
   * @param stops the tokens that end a completion
   * @return a builder
   */
  public static Builder builder(int longest, List<Integer> stops) {
    return new Builder(longest, Set.copyOf(stops));
  }

  /** Builds options. The methods have the names of the components. */
  public static final class Builder {
    private final int longest;
    private final Set<Integer> stops;
    private double temperature = 1;
    private double topP = 1;
    private int topK = 0;
    private double minP = 0;
    private double repetitionPenalty = 1;
    private List<String> stopStrings = List.of();

    private Builder(int longest, Set<Integer> stops) {
      this.longest = longest;
      this.stops = stops;
    }

    /**
     * Sets the divisor of the logits.
     *
     * @param value the temperature; 0 is greedy decoding
     * @return this builder
     */
    public Builder temperature(double value) {
      temperature = value;
      return this;
    }

    /**
     * Sets the probability mass of the tokens to sample from.
     *
     * @param value above 0; 1 turns it off
     * @return this builder
     */
    public Builder topP(double value) {
      topP = value;
      return this;
    }

    /**
     * Sets the number of most likely tokens to sample from.
     *
     * @param value the number; 0 turns it off
     * @return this builder
     */
    public Builder topK(int value) {
      topK = value;
      return this;
    }

    /**
     * Sets the least probability of a token.
     *
     * @param value a share of the largest probability; 0 turns it off
     * @return this builder
     */
    public Builder minP(double value) {
      minP = value;
      return this;
    }

    /**
     * Sets the penalty of tokens that prompt or completion have.
     *
     * @param value above 1 for fewer repetitions; 1 turns it off
     * @return this builder
     */
    public Builder repetitionPenalty(double value) {
      repetitionPenalty = value;
      return this;
    }

    /**
     * Sets the texts that end a completion.
     *
     * @param value the texts
     * @return this builder
     */
    public Builder stopStrings(List<String> value) {
      stopStrings = List.copyOf(value);
      return this;
    }

    /**
     * {@return the options}
     *
     * @throws IllegalArgumentException when a value is out of its range
     */
    public SamplingOptions build() {
      return new SamplingOptions(
          temperature, topP, topK, minP, repetitionPenalty, longest, stops, stopStrings);
    }
  }
}
