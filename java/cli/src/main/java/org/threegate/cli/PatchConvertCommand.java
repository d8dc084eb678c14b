package org.threegate.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate patch convert}. */
@Command(
    name = "convert",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Write a patch in another format. The digests of the patch are compared.",
    footer = {
      "",
      "Example:",
      "  threegate patch convert base/ step-1.safetensors --format disk-delta-xor \\",
      "      --out weight_v000001/"
    })
final class PatchConvertCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      index = "0",
      paramLabel = "BASE",
      description = "The checkpoint that the patch was made from.")
  private Path base;

  @Input
  @Parameters(index = "1", paramLabel = "PATCH", description = "The patch: a file or a directory.")
  private Path patch;

  @Mixin private PatchOutputMixin output;

  @Mixin private DigestMixin digests;

  @Override
  public Integer call() {
    new PatchCombination(spec, output, digests).write(base, List.of(patch));
    return 0;
  }
}
