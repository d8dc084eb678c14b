package org.threegate.patch;

import java.io.IOException;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelCopy;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Applies a patch to a checkpoint and writes the result as a new model.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     WeightPatch patch = WeightPatch.open(context, Path.of("patch.safetensors"))) {
 *   new PatchApplier(patch, before).apply(Path.of("patched"), Progress.NONE);
 * }
 * }</pre>
 */
public final class PatchApplier {
  private final WeightPatch patch;
  private final Checkpoint base;

  /** Receives a patched tensor, chunk by chunk. Its digest is compared after the last chunk. */
  @FunctionalInterface
  interface ChunkVisitor {
    /**
     * Receives a chunk.
     *
     * @param begin number of the first element of the chunk
     * @param entries what the patch changed in it: elements, or bytes
     * @param patched the patched elements
     */
    void chunk(long begin, ChangedElements entries, Range patched) throws IOException;
  }

  /** Makes the visitor of a tensor, in the thread that reads it. */
  @FunctionalInterface
  interface VisitorFactory {
    ChunkVisitor of(Context own, Tensor tensor);
  }

  /**
   * Creates an applier.
   *
   * @param patch an open patch
   * @param base checkpoint that the patch was made from
   */
  public PatchApplier(WeightPatch patch, Checkpoint base) {
    this.patch = patch;
    this.base = base;
  }

  /**
   * Writes the patched model. Each changed tensor has the digest that the patch carries; otherwise
   * no model is written.
   *
   * @param out a new directory
   * @param progress receives bytes of changed tensors
   * @throws InvalidInputException if the patch is damaged, or was made from another base
   * @throws IOException if the model cannot be written
   */
  public void apply(Path out, Progress progress) throws IOException {
    Map<String, SafetensorsWriter.Data> changed = new LinkedHashMap<>();
    long all =
        patch.tensors().keySet().stream().mapToLong(name -> patch.target(base, name).bytes()).sum();
    long[] done = {0};
    for (String name : patch.tensors().keySet()) {
      Tensor tensor = patch.target(base, name);
      changed.put(
          name,
          to -> {
            progress.at(name, done[0], all);
            forEachChunk(patch.context(), tensor, (begin, entries, part) -> part.write(to));
            done[0] += tensor.bytes();
          });
    }
    try {
      ModelCopy.write(base, changed, out);
    } finally {
      patch.check();
    }
    progress.at("", all, all);
  }

  /**
   * Patches every changed tensor in memory, several tensors at a time, and compares its digests.
   *
   * @param progress receives bytes of changed tensors
   * @throws InvalidInputException if the patch is damaged, or was made from another base
   */
  void forEachChunk(Progress progress, VisitorFactory visitors) throws IOException {
    List<Tensor> targets =
        patch.tensors().keySet().stream().map(name -> patch.target(base, name)).toList();
    TensorLoop.run(
        patch.context(),
        targets,
        progress,
        (own, index, tensor) -> forEachChunk(own, tensor, visitors.of(own, tensor)));
    base.check();
    patch.check();
  }

  private void forEachChunk(Context own, Tensor tensor, ChunkVisitor visitor) throws IOException {
    long all = ChunkLayout.elements(tensor);
    List<PatchedTensor.Link> links = List.of(patch.link(tensor.name()).orElseThrow());
    try (PatchedTensor patched = new PatchedTensor(own, tensor, links)) {
      for (long begin = 0; begin < all; begin += ChunkLayout.CHUNK) {
        Range part = patched.chunk(begin, ChunkLayout.chunkAt(tensor, begin));
        visitor.chunk(begin, patched.entries(), part);
      }
      patched.requireDigests();
    }
  }
}
