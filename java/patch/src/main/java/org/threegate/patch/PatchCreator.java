package org.threegate.patch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Creates a patch of two checkpoints. Memory does not depend on the checkpoints' sizes, and the
 * bytes of the patch do not depend on the number of threads.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     Checkpoint after = Checkpoint.open(context, tuned)) {
 *   new PatchCreator(context, PatchOptions.of(PatchFormat.PLANAR))
 *       .create(before, after, Path.of("patch.safetensors"), Progress.NONE);
 * }
 * }</pre>
 */
public final class PatchCreator {
  private final Context context;
  private final PatchOptions options;

  /**
   * Creates a creator of patches.
   *
   * @param context its number of threads is used
   * @param options format, checksums and versions of the patches
   */
  public PatchCreator(Context context, PatchOptions options) {
    this.context = context;
    this.options = options;
  }

  /**
   * Writes the patch that turns one checkpoint into another. The output appears when it is
   * complete.
   *
   * @param before checkpoint that the patch will apply to
   * @param after checkpoint with the same tensors, dtypes and shapes
   * @param out a file, or a new directory if {@link PatchFormat#isDirectory}
   * @param progress receives bytes of {@code after}
   * @throws InvalidInputException if the checkpoints differ in tensors, dtypes or shapes
   * @throws IOException if the output cannot be written
   */
  public void create(Checkpoint before, Checkpoint after, Path out, Progress progress)
      throws IOException {
    requireSameTensors(before, after);
    PatchWriter.write(
        options,
        out,
        writer -> {
          TensorLoop.run(
              context,
              List.copyOf(after.tensors().values()),
              progress,
              (own, index, tensor) -> {
                Tensor old = before.tensors().get(tensor.name());
                int block = ChunkLayout.block(tensor);
                try (TensorReader reader = new TensorReader(own, tensor, block)) {
                  writer.add(own, index, new TensorChange(old, reader));
                }
              });
          before.check();
          after.check();
        });
  }

  private static void requireSameTensors(Checkpoint before, Checkpoint after) {
    for (String name : before.tensors().keySet()) {
      if (!after.tensors().containsKey(name)) {
        throw new InvalidInputException(
            after.path() + ": tensor \"" + name + "\" of " + before.path() + " is missing");
      }
    }
    for (Tensor tensor : after.tensors().values()) {
      Tensor old = before.tensors().get(tensor.name());
      if (old == null) {
        throw new InvalidInputException(
            after.path() + ": tensor \"" + tensor.name() + "\" is not in " + before.path());
      }
      if (old.type() != tensor.type() || !old.shape().equals(tensor.shape())) {
        throw new InvalidInputException(
            tensor.file().path()
                + ": tensor \""
                + tensor.name()
                + "\" is "
                + tensor.type()
                + tensor.shape()
                + ", but "
                + old.type()
                + old.shape()
                + " in "
                + old.file().path());
      }
    }
  }
}
