package org.threegate.cli;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.patch.PatchCombiner;
import org.threegate.patch.PatchOptions;
import org.threegate.patch.WeightPatch;
import picocli.CommandLine.Model.CommandSpec;

/** Writes one patch of several, or one in another format, for the commands that do so. */
final class PatchCombination {
  private final CommandSpec spec;
  private final PatchOutputMixin output;
  private final DigestMixin digests;

  PatchCombination(CommandSpec spec, PatchOutputMixin output, DigestMixin digests) {
    this.spec = spec;
    this.output = output;
    this.digests = digests;
  }

  /**
   * Combines patches and prints a line about the result.
   *
   * @param base checkpoint that the first patch was made from
   * @param paths the patches, in order
   */
  void write(Path base, List<Path> paths) {
    PatchOptions options = output.options();
    OutputPath.writing(
        output.out(),
        () -> {
          PatchWork.run(
              spec,
              (context, progress) -> {
                List<WeightPatch> patches = new ArrayList<>();
                try (Checkpoint before = Checkpoint.open(context, base)) {
                  for (Path path : paths) {
                    patches.add(WeightPatch.open(context, path, digests.policy()));
                  }
                  new PatchCombiner(context, options)
                      .combine(before, patches, output.out(), progress);
                } finally {
                  patches.forEach(WeightPatch::close);
                }
              });
          PatchWork.print(spec, output.summary(base));
        });
  }
}
