package org.threegate.cli;

import java.util.concurrent.Callable;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;

/** {@code threegate patch}. */
@Command(
    name = "patch",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Create, apply, verify, inspect, chain, follow and convert lossless weight patches.",
      "",
      "A patch is the difference between two checkpoints, bit for bit.",
      "",
      "Formats: planar is the smallest. disk-delta-xor and disk-delta-overwrite are directories of"
          + " versions that inference engines read. sparse consists of plain tensors."
          + " docs/patches.md specifies them."
    },
    subcommands = {
      PatchCreateCommand.class,
      PatchApplyCommand.class,
      PatchVerifyCommand.class,
      PatchInspectCommand.class,
      PatchChainCommand.class,
      PatchFollowCommand.class,
      PatchConvertCommand.class
    },
    footer = {
      "",
      "Examples:",
      "  threegate patch create base/ tuned/ --out step-1.safetensors",
      "  threegate patch apply base/ step-1.safetensors --out tuned-again/",
      "  threegate patch apply served/ weight_v000002/ --in-place",
      "  threegate patch verify base/ weight_v000002/",
      "  threegate patch inspect step-1.safetensors --base base/",
      "  threegate patch follow run/versions/ served/",
      "  threegate patch chain base/ run/versions/ --out all-steps.safetensors",
      "  threegate patch convert base/ step-1.safetensors --format disk-delta-xor \\",
      "      --out weight_v000001/"
    })
final class PatchCommand implements Callable<Integer> {
  @Override
  public Integer call() {
    throw new InvalidInputException(
        "patch: choose a command: create, apply, verify, inspect, chain, follow or convert");
  }
}
