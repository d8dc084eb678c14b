package org.threegate.patch;

import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/** Reads {@link PatchFormat#DISK_DELTA_XOR}. */
final class XorDecoder extends TensorDecoder {
  private final FrameReader frame;
  private final NativeBuffer part;
  private final NativeBuffer zeros;

  XorDecoder(Context context, Tensor tensor, Tensor stored) {
    super(context, tensor, ChunkLayout.elementBytes(tensor), ChangedElements.Form.XOR);
    int bytes = ChunkLayout.largestChunk(tensor) * width();
    this.part = context.allocate(Math.max(1, bytes));
    this.zeros = context.allocate(Math.max(1, bytes));
    zeros.fill(0, bytes, (byte) 0);
    try {
      frame = new FrameReader(stored, tensor.bytes());
    } catch (RuntimeException e) {
      release();
      throw e;
    }
    try {
      long held = frame.contentBytes();
      if (held != tensor.bytes()) {
        throw frame.refused(
            "has contents of " + held + " bytes for a tensor of " + tensor.bytes() + " bytes");
      }
    } catch (RuntimeException e) {
      close();
      throw e;
    }
  }

  @Override
  void read(ChangedElements entries, long begin, int count) {
    Range own = Range.first(part, (long) count * width());
    try (Range.View view = own.output()) {
      frame.read(view.bytes());
    }
    entries.extract(Range.first(zeros, own.bytes()).elements(width()), own.elements(width()));
  }

  @Override
  void requireEnd() {
    frame.requireEnd();
  }

  private void release() {
    part.close();
    zeros.close();
    super.close();
  }

  @Override
  public void close() {
    frame.close();
    release();
  }
}
