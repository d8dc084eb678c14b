package org.threegate.cli;

import java.util.ArrayList;
import java.util.List;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.nullmodel.NullModel;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Option;

/** Options that control how the geometry of an update is measured. */
final class GeometryMixin {
  private static final String NO_NULLS = "none";

  @Mixin private RankMixin principal = new RankMixin();

  @Option(
      names = "--nulls",
      split = ",",
      paramLabel = "MODEL",
      description =
          "Null models to draw: norm-matched, permuted-update, spectrum-preserving and sign-flipped, separated by"
              + " commas, or none (default: all).")
  private List<String> nulls = new ArrayList<>();

  @Option(
      names = "--draws",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Number of draws of each null model. 0 chooses 20, and 4 to 20 where each draw needs a"
              + " decomposition (default: ${DEFAULT-VALUE}).")
  private int draws;

  @Option(
      names = "--share-draws",
      description =
          "Use the same random numbers for all updates of a tensor. Comparisons of several runs with one"
              + " --seed then share the noise of their null models.")
  private boolean shareDraws;

  /** Returns the options as the library takes them. */
  GeometryOptions options(long seed) {
    try {
      return new GeometryOptions(
          principal.ranks(),
          principal.fractions(),
          principal.alphas(),
          models(),
          draws,
          principal.tolerance(),
          seed,
          shareDraws);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          "--rank, --rank-fraction, --alpha, --nulls, --draws or --tolerance: " + e.getMessage(),
          e);
    }
  }

  private List<NullModel> models() {
    if (nulls.equals(List.of(NO_NULLS))) {
      return List.of();
    }
    return nulls.isEmpty()
        ? GeometryOptions.DEFAULT.nulls()
        : nulls.stream().map(NullModel::of).distinct().toList();
  }

  /** Returns these options as arguments of a command line, with defaults filled in. */
  List<String> command() {
    List<String> command = new ArrayList<>(principal.command());
    List<String> names = models().stream().map(NullModel::label).toList();
    RankMixin.add(command, "--nulls", names.isEmpty() ? List.of(NO_NULLS) : names);
    RankMixin.add(command, "--draws", List.of(draws));
    if (shareDraws) {
      command.add("--share-draws");
    }
    return command;
  }
}
