package org.threegate.patch;

import java.io.IOException;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Checks a patch against a model. Nothing is written.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     WeightPatch patch = WeightPatch.open(context, Path.of("patch.safetensors"))) {
 *   new PatchVerifier(patch).verify(before, Progress.NONE);
 * }
 * }</pre>
 */
public final class PatchVerifier {
  private final WeightPatch patch;

  /**
   * Creates a verifier of an open patch.
   *
   * @param patch an open patch
   */
  public PatchVerifier(WeightPatch patch) {
    this.patch = patch;
  }

  /**
   * Applies the patch in memory and compares all digests that it has.
   *
   * @param base checkpoint that the patch was made from
   * @param progress receives bytes of changed tensors
   * @throws InvalidInputException if the patch is damaged, or was made from another base
   * @throws IOException if a file cannot be read
   */
  public void verify(Checkpoint base, Progress progress) throws IOException {
    new PatchApplier(patch, base)
        .forEachChunk(progress, (own, tensor) -> (begin, entries, patched) -> {});
  }

  /**
   * Returns whether a model already is the result of the patch.
   *
   * @param model an open checkpoint
   * @return whether every changed tensor has the digest that the patch carries; false if the patch
   *     lacks one
   * @throws InvalidInputException if the model has no tensor of a changed tensor's name
   */
  public boolean isResult(Checkpoint model) {
    for (Map.Entry<String, TensorPatch> entry : patch.tensors().entrySet()) {
      Tensor tensor = patch.target(model, entry.getKey());
      if (!entry.getValue().digest().equals(Optional.of(digest(tensor)))) {
        return false;
      }
    }
    return true;
  }

  private String digest(Tensor tensor) {
    ChecksumFormat format = patch.options().checksum();
    try (ChecksumFormat.Checksum sum = format.begin(patch.context())) {
      long all = ChunkLayout.elements(tensor);
      for (long at = 0; at < all; at += ChunkLayout.CHUNK) {
        sum.update(Range.of(tensor, at, ChunkLayout.chunkAt(tensor, at)));
      }
      return sum.hex();
    }
  }
}
