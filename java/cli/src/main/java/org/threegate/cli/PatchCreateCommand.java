package org.threegate.cli;

import java.nio.file.Path;
import java.util.concurrent.Callable;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.patch.PatchCreator;
import org.threegate.patch.PatchOptions;
import org.threegate.patch.PatchVersions;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate patch create}. */
@Command(
    name = "create",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Write the patch that turns BASE into TUNED.",
    footer = {
      "",
      "Examples:",
      "  threegate patch create base/ tuned/ --out step-1.safetensors",
      "  threegate patch create base/ tuned/ --format disk-delta-xor \\",
      "      --out weight_v000001/"
    })
final class PatchCreateCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      index = "0",
      paramLabel = "BASE",
      description = "The checkpoint that the patch applies to: a file or a directory.")
  private Path base;

  @Input
  @Parameters(
      index = "1",
      paramLabel = "TUNED",
      description = "The checkpoint that the patch leads to: a file or a directory.")
  private Path tuned;

  @Mixin private PatchOutputMixin output;

  @Option(
      names = "--version-number",
      paramLabel = "N",
      defaultValue = "1",
      description = "Version that the patch leads to (default: ${DEFAULT-VALUE}).")
  private long version;

  @Option(
      names = "--base-version",
      paramLabel = "N",
      defaultValue = "0",
      description = "Version that the patch applies to (default: ${DEFAULT-VALUE}).")
  private long baseVersion;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "Number of threads; 0 for one on each processor (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Override
  public Integer call() {
    PatchOptions options = output.options().withVersions(versions());
    OutputPath.writing(
        output.out(),
        () -> {
          PatchWork.run(
              spec,
              threads,
              (context, progress) -> {
                try (Checkpoint before = Checkpoint.open(context, base);
                    Checkpoint after = Checkpoint.open(context, tuned)) {
                  new PatchCreator(context, options).create(before, after, output.out(), progress);
                }
              });
          PatchWork.print(spec, output.summary(tuned));
        });
    return 0;
  }

  private PatchVersions versions() {
    try {
      return new PatchVersions(baseVersion, version);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("--version-number or --base-version: " + e.getMessage(), e);
    }
  }
}
