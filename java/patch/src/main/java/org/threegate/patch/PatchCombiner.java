package org.threegate.patch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Makes one patch of consecutive patches, or writes one patch in another format. Every patch is
 * applied to the base and its digests are compared, tensor by tensor. No model is written.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     WeightPatch first = WeightPatch.open(context, Path.of("step-1.safetensors"));
 *     WeightPatch second = WeightPatch.open(context, Path.of("step-2.safetensors"))) {
 *   new PatchCombiner(context, PatchOptions.of(PatchFormat.PLANAR))
 *       .combine(before, List.of(first, second), Path.of("both.safetensors"), Progress.NONE);
 * }
 * }</pre>
 */
public final class PatchCombiner {
  private final Context context;
  private final PatchOptions options;

  /**
   * Creates a combiner.
   *
   * @param context its number of threads is used
   * @param options how the result is written; its versions are those of the patches
   */
  public PatchCombiner(Context context, PatchOptions options) {
    this.context = context;
    this.options = options;
  }

  /**
   * Writes the combined patch. It has the same bytes as a patch that is created from the first and
   * the last checkpoint.
   *
   * @param base checkpoint that the first patch applies to
   * @param patches at least one patch; each begins with the version that the one before leads to
   * @param out a file, or a new directory if {@link PatchFormat#isDirectory}
   * @param progress receives bytes of the base
   * @throws InvalidInputException if the patches are not consecutive, are damaged, or were made
   *     from another base
   * @throws IOException if the output cannot be written
   */
  public void combine(Checkpoint base, List<WeightPatch> patches, Path out, Progress progress)
      throws IOException {
    PatchOptions written = options.withVersions(versions(patches));
    for (WeightPatch patch : patches) {
      for (String name : patch.tensors().keySet()) {
        patch.target(base, name);
      }
    }
    PatchWriter.write(
        written,
        out,
        writer -> {
          TensorLoop.run(
              context,
              List.copyOf(base.tensors().values()),
              progress,
              (own, index, tensor) -> {
                List<PatchedTensor.Link> links =
                    patches.stream().flatMap(patch -> patch.link(tensor.name()).stream()).toList();
                if (links.isEmpty()) {
                  writer.skip(tensor);
                  return;
                }
                try (PatchedTensor patched = new PatchedTensor(own, tensor, links)) {
                  writer.add(own, index, new TensorChange(tensor, patched));
                  patched.requireDigests();
                }
              });
          base.check();
          patches.forEach(WeightPatch::check);
        });
  }

  /** Returns the first base version and the last target version. */
  private static PatchVersions versions(List<WeightPatch> patches) {
    if (patches.isEmpty()) {
      throw new InvalidInputException("there are no patches to combine");
    }
    long begin = patches.get(0).options().versions().base();
    long end = begin;
    for (WeightPatch patch : patches) {
      PatchVersions own = patch.options().versions();
      if (own.base() != end) {
        throw new InvalidInputException(
            patch.path()
                + ": applies to version "
                + own.base()
                + ", but the patch before it leads to version "
                + end);
      }
      end = own.target();
    }
    return new PatchVersions(begin, end);
  }
}
