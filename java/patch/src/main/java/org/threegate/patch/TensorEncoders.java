package org.threegate.patch;

import java.io.IOException;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;

/** Creates the encoder of a format. */
final class TensorEncoders {
  private TensorEncoders() {}

  /** Creates an encoder of one tensor that appends to the output of its thread. */
  static TensorEncoder create(
      Context context, PatchOptions options, Tensor tensor, EncoderOutput output)
      throws IOException {
    return switch (options.format()) {
      case DISK_DELTA_XOR -> new XorEncoder(context, tensor, output);
      case DISK_DELTA_OVERWRITE -> new OverwriteEncoder(tensor, output);
      case PLANAR -> new PlanarEncoder(context, tensor, output);
      case SPARSE -> new SparseEncoder(tensor, output, options.positions());
    };
  }
}
