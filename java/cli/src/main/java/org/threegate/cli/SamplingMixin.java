package org.threegate.cli;

import java.util.List;
import java.util.Set;
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
  private double topProbability;

  @Option(
      names = "--top-k",
      paramLabel = "N",
      defaultValue = "0",
      description = "Sample from the N most likely tokens; 0 for all (default: ${DEFAULT-VALUE}).")
  private int mostLikely;

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
      return new SamplingOptions(
          temperature, topProbability, mostLikely, longest, Set.copyOf(ends));
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          "--temperature, --top-p, --top-k or --longest: " + e.getMessage(), e);
    }
  }
}
