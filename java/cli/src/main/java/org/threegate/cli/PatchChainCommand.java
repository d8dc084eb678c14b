package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import org.threegate.patch.VersionChain;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate patch chain}. */
@Command(
    name = "chain",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Combine consecutive patches into one. The digests of every patch are compared.",
      "A PATCH may be a directory of versions (weight_v000001/ and so on). It stands for all of its"
          + " patches after the version of BASE. That version is known if BASE is a full checkpoint"
          + " in the directory, or a model that threegate patch follow updates."
    },
    footer = {
      "",
      "Examples:",
      "  threegate patch chain base/ step-1.safetensors step-2.safetensors \\",
      "      --out both.safetensors",
      "  threegate patch chain run/versions/weight_v000001/ run/versions/ \\",
      "      --out all.safetensors"
    })
final class PatchChainCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      index = "0",
      paramLabel = "BASE",
      description = "The checkpoint that the first patch was made from.")
  private Path base;

  @Input
  @Parameters(
      index = "1..*",
      arity = "1..*",
      paramLabel = "PATCH",
      description = "The patches in order: files or directories.")
  private List<Path> patches;

  @Mixin private PatchOutputMixin output;

  @Mixin private DigestMixin digests;

  @Override
  public Integer call() throws IOException {
    List<Path> chain = new ArrayList<>();
    for (Path patch : patches) {
      chain.addAll(VersionChain.of(patch, base));
    }
    new PatchCombination(spec, output, digests).write(base, chain);
    return 0;
  }
}
