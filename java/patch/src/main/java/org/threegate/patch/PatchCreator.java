package org.threegate.patch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorParts;
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
   * @param before checkpoint that the patch will apply to, of which no tensor lies in pieces
   * @param after checkpoint with the same tensors, dtypes and shapes, which may lie in pieces
   * @param out a file, or a new directory if {@link PatchFormat#isDirectory}
   * @param progress receives bytes of {@code after}
   * @throws InvalidInputException if the checkpoints differ in tensors, dtypes or shapes
   * @throws IOException if the output cannot be written
   */
  public void create(Checkpoint before, Checkpoint after, Path out, Progress progress)
      throws IOException {
    for (String name : before.parts().keySet()) {
      throw new InvalidInputException(
          before.path()
              + ": tensor \""
              + name
              + "\" lies in pieces, where no patch applies; save the model as safetensors");
    }
    requireSameTensors(before, after);
    PatchWriter.write(
        options,
        out,
        writer -> {
          TensorLoop.run(
              context,
              wholes(before, after),
              progress,
              (own, index, tensor) -> add(writer, own, index, tensor, before, after));
          before.check();
          after.check();
        });
  }

  private static void add(
      PatchWriter writer,
      Context own,
      int index,
      Tensor tensor,
      Checkpoint before,
      Checkpoint after)
      throws IOException {
    Tensor old = before.tensors().get(tensor.name());
    int block = ChunkLayout.block(tensor);
    TensorParts parts = after.parts().get(tensor.name());
    if (parts == null) {
      try (TensorReader reader = new TensorReader(own, tensor, block)) {
        writer.add(own, index, new TensorChange(old, reader));
      }
    } else {
      try (PieceReader reader = new PieceReader(own, parts, block)) {
        writer.add(own, index, new TensorChange(old, reader));
      }
    }
  }

  /** Returns the tensors of a checkpoint, with those of another one for those in pieces. */
  private static List<Tensor> wholes(Checkpoint before, Checkpoint after) {
    Set<String> pieces = pieces(after);
    List<Tensor> tensors = new ArrayList<>();
    after.tensors().values().stream()
        .filter(tensor -> !pieces.contains(tensor.name()))
        .forEach(tensors::add);
    after.parts().keySet().forEach(name -> tensors.add(before.tensors().get(name)));
    return tensors;
  }

  private static Set<String> pieces(Checkpoint after) {
    Set<String> pieces = new HashSet<>();
    after.parts().values().forEach(whole -> whole.parts().forEach(part -> pieces.add(part.name())));
    return pieces;
  }

  private static void requireSameTensors(Checkpoint before, Checkpoint after) {
    Set<String> pieces = pieces(after);
    for (String name : before.tensors().keySet()) {
      if ((!after.tensors().containsKey(name) || pieces.contains(name))
          && !after.parts().containsKey(name)) {
        throw new InvalidInputException(
            after.path() + ": tensor \"" + name + "\" of " + before.path() + " is missing");
      }
    }
    for (Tensor tensor : after.tensors().values()) {
      if (!pieces.contains(tensor.name())) {
        requireSame(before, after, tensor.name(), tensor, tensor.shape());
      }
    }
    after
        .parts()
        .forEach(
            (name, whole) -> requireSame(before, after, name, whole.parts().get(0), whole.shape()));
  }

  /** Checks a tensor against the base; only its dtype and its file are those of a piece. */
  private static void requireSame(
      Checkpoint before, Checkpoint after, String name, Tensor tensor, List<Long> shape) {
    Tensor old = before.tensors().get(name);
    if (old == null) {
      throw new InvalidInputException(
          after.path() + ": tensor \"" + name + "\" is not in " + before.path());
    }
    if (old.type() != tensor.type() || !old.shape().equals(shape)) {
      throw new InvalidInputException(
          tensor.file().path()
              + ": tensor \""
              + name
              + "\" is "
              + tensor.type()
              + shape
              + ", but "
              + old.type()
              + old.shape()
              + " in "
              + old.file().path());
    }
  }
}
