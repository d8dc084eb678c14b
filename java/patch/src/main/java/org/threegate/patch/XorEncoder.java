package org.threegate.patch;

import java.io.IOException;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/** Writes {@link PatchFormat#DISK_DELTA_XOR}: a frame of all bytes, old xor new. */
final class XorEncoder implements TensorEncoder {
  private final Tensor tensor;
  private final int width;
  private final EncoderOutput output;
  private final long begin;
  private final NativeBuffer zeros; // all zero between two calls
  private long unchanged; // bytes before the first change; most tensors have no change
  private boolean begun;

  XorEncoder(Context context, Tensor tensor, EncoderOutput output) throws IOException {
    this.tensor = tensor;
    this.width = ChunkLayout.elementBytes(tensor);
    this.output = output;
    this.begin = output.spool().position();
    int largest = ChunkLayout.largestChunk(tensor) * width;
    this.zeros = context.allocate(Math.max(1, largest));
    zeros.fill(0, largest, (byte) 0);
  }

  @Override
  public int width() {
    return width;
  }

  @Override
  public ChangedElements.Form form() {
    return ChangedElements.Form.XOR;
  }

  @Override
  public void add(long from, int bytes, ChangedElements found) throws IOException {
    if (!begun && found.count() == 0) {
      unchanged += bytes;
      return;
    }
    FrameWriter frames = output.frames();
    if (!begun) {
      begun = true;
      frames.begin(tensor.bytes());
      for (long left = unchanged; left > 0; left -= Math.min(left, zeros.bytes())) {
        frames.put(Range.first(zeros, Math.min(left, zeros.bytes())));
      }
    }
    Range part = Range.first(zeros, bytes);
    found.apply(part.elements(width));
    frames.put(part);
    found.apply(part.elements(width)); // xor a second time restores the zeros
  }

  @Override
  public List<StoredTensor> end() throws IOException {
    return output.endFrame(tensor, begin);
  }

  @Override
  public void close() {
    zeros.close();
  }
}
