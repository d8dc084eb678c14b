package org.threegate.patch;

import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/** Opens the decoder of a format. */
final class TensorDecoders {
  private TensorDecoders() {}

  /**
   * Opens a decoder.
   *
   * @param tensor the tensor that changes, of which only dtype and shape are read
   * @throws InvalidInputException if what is stored does not fit the tensor
   */
  static TensorDecoder open(
      Context context, PatchOptions options, Tensor tensor, TensorPatch patch) {
    Tensor stored = patch.stored();
    return switch (options.format()) {
      case DISK_DELTA_XOR -> new XorDecoder(context, tensor, stored);
      case DISK_DELTA_OVERWRITE -> new OverwriteDecoder(context, tensor, stored);
      case PLANAR -> new PlanarDecoder(context, tensor, stored);
      case SPARSE -> new SparseDecoder(context, tensor, patch, options.positions());
    };
  }
}
