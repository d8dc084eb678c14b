package org.threegate.patch;

import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.TensorParts;
import org.threegate.kernel.Context;

/** Reads a tensor that lies in pieces into a buffer, which is a copy as in {@link TensorReader}. */
final class PieceReader implements BlockSource, AutoCloseable {
  private final TensorParts whole;
  private final int width;
  private final NativeBuffer buffer;

  /**
   * Opens a reader.
   *
   * @param context context of the thread that reads
   * @param most largest number of elements of one call of {@link #next}
   */
  PieceReader(Context context, TensorParts whole, long most) {
    this.whole = whole;
    this.width = whole.type().bits() / Byte.SIZE;
    this.buffer = context.allocate(Math.max(1, most * width));
  }

  @Override
  public Range next(long begin, long count) {
    whole.copy(begin, count, buffer::put);
    return Range.first(buffer, count * width);
  }

  @Override
  public void close() {
    buffer.close();
  }
}
