package org.threegate.cli;

import java.util.List;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Option;

/** Options that control how completions are sampled. */
final class SamplingMixin {
  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "1",
      description =
          "Sampling temperature; 0 takes the most likely token (default: ${DEFAULT-VALUE}).")
  private double temperature;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "1",
      description =
          "Sample from the most likely tokens whose probabilities sum to P (default: ${DEFAULT-VALUE},"
              + " all tokens).")
  private double topP;

  @Option(
      names = "--top-k",
      paramLabel = "N",
      defaultValue = "0",
      description = "Sample from the N most likely tokens; 0 for all (default: ${DEFAULT-VALUE}).")
  private int topK;

  @Option(
      names = "--min-p",
      paramLabel = "P",
      defaultValue = "0",
      description =
          "Sample from tokens whose probability is at least P times the largest one (default:"
              + " ${DEFAULT-VALUE}, all tokens).")
  private double minP;

  @Option(
      names = "--repetition-penalty",
      paramLabel = "X",
      defaultValue = "1",
      description =
          "Make tokens of prompt and completion less likely: positive logits are divided by X, others"
              + " multiplied (default: ${DEFAULT-VALUE}, no penalty).")
  private double repetitionPenalty;

  @Option(
      names = "--stop-strings",
      paramLabel = "TEXT",
      description = "End a completion after this text. May be repeated.")
  private List<String> stopStrings = List.of();

  @Option(
      names = "--longest",
      paramLabel = "N",
      defaultValue = "256",
      description = "Largest number of tokens in a completion (default: ${DEFAULT-VALUE}).")
  private int longest;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Seed of the samples (default: ${DEFAULT-VALUE}).")
  private long seed;

  long seed() {
    return seed;
  }

  SamplingOptions sampling(List<Integer> ends) {
    try {
      return SamplingOptions.builder(longest, ends)
          .temperature(temperature)
          .topP(topP)
          .topK(topK)
          .minP(minP)
          .repetitionPenalty(repetitionPenalty)
          .stopStrings(stopStrings)
          .build();
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          "--temperature, --top-p, --top-k, --min-p, --repetition-penalty, --stop-strings or --longest: "
              + e.getMessage(),
          e);
    }
  }
}
