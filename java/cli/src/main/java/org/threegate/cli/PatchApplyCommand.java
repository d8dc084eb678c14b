package org.threegate.cli;

import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.patch.PatchApplier;
import org.threegate.patch.PatchInPlace;
import org.threegate.patch.WeightPatch;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate patch apply}. */
@Command(
    name = "apply",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Apply a patch to a model. Every changed tensor is compared with the digest that the patch"
            + " carries. If one differs, nothing is written.",
    footer = {
      "",
      "Examples:",
      "  threegate patch apply base/ step-1.safetensors --out tuned-again/",
      "  threegate patch apply served/ weight_v000002/ --in-place"
    })
final class PatchApplyCommand implements Callable<Integer> {
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

  @Output(Output.Kind.NEW)
  @Option(
      names = "--out",
      paramLabel = "DIR",
      description = "Write the patched model to this new directory.")
  private Optional<Path> out = Optional.empty();

  @Option(
      names = "--in-place",
      description = {
        "Change the files of BASE. If the command is killed, run it again: it then completes what was"
            + " begun."
      })
  private boolean inPlace;

  @Mixin private DigestMixin digests;

  @Override
  public Integer call() {
    if (out.isPresent() == inPlace) {
      throw new InvalidInputException(
          "--out or --in-place: choose one of them to say where the patched model goes");
    }
    if (inPlace) {
      applyInPlace();
    } else {
      apply(out.orElseThrow());
    }
    return 0;
  }

  private void applyInPlace() {
    OutputGuard.check(base, Output.Kind.IN_PLACE, List.of(patch));
    OutputPath.writing(
        base,
        () -> {
          PatchWork.run(
              spec,
              (context, progress) -> {
                PatchInPlace model = new PatchInPlace(context, base);
                if (model.recoverAndApply(patch, digests.policy(), progress)) {
                  spec.commandLine()
                      .getErr()
                      .println("threegate: " + base + ": completed an interrupted patch first");
                }
              });
          PatchWork.print(spec, "model: " + base);
        });
  }

  private void apply(Path target) {
    OutputPath.writingDirectory(
        target,
        () -> {
          PatchWork.run(
              spec,
              (context, progress) -> {
                try (Checkpoint before = Checkpoint.open(context, base);
                    WeightPatch opened = WeightPatch.open(context, patch, digests.policy())) {
                  new PatchApplier(opened, before).apply(target, progress);
                }
              });
          PatchWork.print(spec, "model: " + target);
        });
  }
}
