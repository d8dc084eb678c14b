package org.threegate.cli;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;
import org.threegate.analysis.geometry.GeometryOptions;
import picocli.CommandLine.Option;

/** Options that define the principal subspace and the masks. */
final class RankMixin {
  @Option(
      names = "--rank",
      split = ",",
      paramLabel = "K",
      description =
          "Number of leading singular directions. Several, separated by commas, are measured in one"
              + " pass.")
  private List<Integer> ranks = new ArrayList<>();

  @Option(
      names = "--rank-fraction",
      split = ",",
      paramLabel = "SHARE",
      description =
          "Number of leading directions as a share of the shorter side of a matrix (default without"
              + " --rank: 0.1).")
  private List<Double> rankFractions = new ArrayList<>();

  @Option(
      names = "--alpha",
      split = ",",
      paramLabel = "SHARE",
      description =
          "Share of entries in a mask, between 0 and 1 (default: 0.5,0.1,0.05 where several are measured, and"
              + " 0.5 where a mask is written).")
  private List<Double> alphas = new ArrayList<>();

  @Option(
      names = "--tolerance",
      paramLabel = "T",
      defaultValue = "1e-6",
      description =
          "Largest accepted residual of the singular triplets, relative to the largest singular value"
              + " (default: ${DEFAULT-VALUE}).")
  private double tolerance = GeometryOptions.DEFAULT.tolerance();

  List<Integer> ranks() {
    return ranks;
  }

  List<Double> fractions() {
    return ranks.isEmpty() && rankFractions.isEmpty()
        ? GeometryOptions.DEFAULT.rankFractions()
        : rankFractions;
  }

  /** Returns the shares, or the given ones if there are none. */
  List<Double> alphas(List<Double> otherwise) {
    return alphas.isEmpty() ? otherwise : alphas;
  }

  List<Double> alphas() {
    return alphas(GeometryOptions.DEFAULT.alphas());
  }

  double tolerance() {
    return tolerance;
  }

  /** Returns these options as arguments of a command line, with defaults filled in. */
  List<String> command() {
    List<String> command = new ArrayList<>();
    add(command, "--rank", ranks);
    add(command, "--rank-fraction", fractions());
    add(command, "--alpha", alphas());
    add(command, "--tolerance", List.of(tolerance));
    return command;
  }

  static void add(List<String> command, String option, List<?> values) {
    if (!values.isEmpty()) {
      command.add(option);
      command.add(values.stream().map(Object::toString).collect(Collectors.joining(",")));
    }
  }
}
