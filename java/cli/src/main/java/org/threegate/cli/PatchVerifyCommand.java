package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.patch.PatchVerifier;
import org.threegate.patch.PatchVersions;
import org.threegate.patch.WeightPatch;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate patch verify}. */
@Command(
    name = "verify",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Apply a patch in memory and compare all digests. Nothing is written.",
    footer = {"", "Example:", "  threegate patch verify base/ weight_v000002/"})
final class PatchVerifyCommand implements Callable<Integer> {
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

  @Override
  public Integer call() throws IOException {
    PatchWork.run(
        spec,
        (context, progress) -> {
          try (Checkpoint before = Checkpoint.open(context, base);
              WeightPatch opened = WeightPatch.open(context, patch)) {
            new PatchVerifier(opened).verify(before, progress);
            PatchVersions versions = opened.options().versions();
            PatchWork.print(
                spec,
                String.format(
                    "%s: version %d from %d, %d tensors, all digests match",
                    patch, versions.target(), versions.base(), opened.entries().size()));
          }
        });
    return 0;
  }
}
