package org.threegate.cli;

import java.util.List;
import java.util.Set;
import org.threegate.rl.policy.SamplingOptions;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Option;

/** How completions are drawn. */
final class SamplingMixin {
  @Option(
      names = "--temperature",
      paramLabel = "T",
      defaultValue = "1",
      description =
          "by which logits are divided; 0: the likeliest token (default: ${DEFAULT-VALUE})")
  private double temperature;

  @Option(
      names = "--top-p",
      paramLabel = "P",
      defaultValue = "1",
      description = "share of the likeliest tokens that are drawn from (default: ${DEFAULT-VALUE})")
  private double topProbability;

  @Option(
      names = "--top-k",
      paramLabel = "N",
      defaultValue = "0",
      description = "how many of the likeliest are drawn from; 0 (default): all")
  private int mostLikely;

  @Option(
      names = "--longest",
      paramLabel = "N",
      defaultValue = "256",
      description = "tokens of a completion (default: ${DEFAULT-VALUE})")
  private int longest;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "of what is drawn (default: ${DEFAULT-VALUE})")
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
