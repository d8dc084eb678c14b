package org.threegate.cli;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Collectors;
import org.threegate.analysis.measure.GeometryOptions;
import org.threegate.analysis.measure.NullModel;
import org.threegate.checkpoint.InvalidInputException;
import picocli.CommandLine.Option;

/** Options of what is measured of the geometry of an update. */
final class GeometryMixin {
  private static final String NO_NULLS = "none";

  @Option(
      names = "--rank",
      split = ",",
      paramLabel = "K",
      description = "leading directions; several, separated by commas, are measured in one pass")
  private List<Integer> ranks = new ArrayList<>();

  @Option(
      names = "--rank-fraction",
      split = ",",
      paramLabel = "SHARE",
      description = "the same as shares of the shorter side (default, without --rank: 0.1)")
  private List<Double> rankFractions = new ArrayList<>();

  @Option(
      names = "--alpha",
      split = ",",
      paramLabel = "SHARE",
      description = "shares of entries in the masks (default: 0.5)")
  private List<Double> alphas = new ArrayList<>();

  @Option(
      names = "--nulls",
      split = ",",
      paramLabel = "MODEL",
      description =
          "null models to draw: norm-matched, permuted-update, spectrum-preserving (default: all), or none")
  private List<String> nulls = new ArrayList<>();

  @Option(
      names = "--draws",
      paramLabel = "N",
      defaultValue = "0",
      description = "draws of each null model; 0 (default): 4 to 20, more for smaller matrices")
  private int draws;

  @Option(
      names = "--tolerance",
      paramLabel = "T",
      defaultValue = "1e-6",
      description =
          "certified residual of the singular triplets, over the largest singular value (default: ${DEFAULT-VALUE})")
  private double tolerance = GeometryOptions.DEFAULT.tolerance();

  /** What was asked for. */
  GeometryOptions options(long seed) {
    try {
      return new GeometryOptions(ranks, fractions(), shares(), models(), draws, tolerance, seed);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          "--rank, --rank-fraction, --alpha, --nulls, --draws or --tolerance: " + e.getMessage(),
          e);
    }
  }

  private List<Double> fractions() {
    return ranks.isEmpty() && rankFractions.isEmpty()
        ? GeometryOptions.DEFAULT.rankFractions()
        : rankFractions;
  }

  private List<Double> shares() {
    return alphas.isEmpty() ? GeometryOptions.DEFAULT.alphas() : alphas;
  }

  private List<NullModel> models() {
    if (nulls.equals(List.of(NO_NULLS))) {
      return List.of();
    }
    return nulls.isEmpty()
        ? GeometryOptions.DEFAULT.nulls()
        : nulls.stream().map(NullModel::of).distinct().toList();
  }

  /** The options after defaults. */
  List<String> command() {
    List<String> command = new ArrayList<>();
    add(command, "--rank", ranks);
    add(command, "--rank-fraction", fractions());
    add(command, "--alpha", shares());
    List<String> names = models().stream().map(NullModel::label).toList();
    add(command, "--nulls", names.isEmpty() ? List.of(NO_NULLS) : names);
    command.addAll(
        Arrays.asList(
            "--draws", Integer.toString(draws), "--tolerance", Double.toString(tolerance)));
    return command;
  }

  private static void add(List<String> command, String option, List<?> values) {
    if (!values.isEmpty()) {
      command.add(option);
      command.add(values.stream().map(Object::toString).collect(Collectors.joining(",")));
    }
  }
}
