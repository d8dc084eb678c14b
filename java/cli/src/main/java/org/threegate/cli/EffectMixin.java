package org.threegate.cli;

import java.util.List;
import org.threegate.analysis.statistics.SmallestEffect;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Option;

/** Options for the smallest effects of interest, which verdicts need. */
final class EffectMixin {
  @Option(
      names = "--smallest-odds-ratio",
      paramLabel = "R",
      defaultValue = "1.1",
      description =
          "Smallest odds ratio of an overlap that a verdict needs. Smaller effects are consistent with"
              + " chance (default: ${DEFAULT-VALUE}).")
  private double oddsRatio = SmallestEffect.DEFAULT.oddsRatio();

  @Option(
      names = "--smallest-ratio",
      paramLabel = "R",
      defaultValue = "1.25",
      description =
          "Smallest ratio of a measure to its null model that a verdict needs (default:"
              + " ${DEFAULT-VALUE}).")
  private double ratio = SmallestEffect.DEFAULT.ratio();

  SmallestEffect smallest() {
    try {
      return new SmallestEffect(oddsRatio, ratio);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          "--smallest-odds-ratio or --smallest-ratio: " + e.getMessage(), e);
    }
  }

  /** Returns these options as arguments of a command line, with defaults filled in. */
  List<String> command() {
    return List.of(
        "--smallest-odds-ratio",
        Double.toString(oddsRatio),
        "--smallest-ratio",
        Double.toString(ratio));
  }
}
