package org.threegate.patch;

import java.nio.ByteBuffer;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/** Reads formats that store a list of flat positions and a list of values of the whole tensor. */
abstract class PositionDecoder extends TensorDecoder {
  private long next = -1;
  private long left;

  PositionDecoder(Context context, Tensor tensor, int width) {
    super(context, tensor, width, ChangedElements.Form.OVERWRITE);
  }

  /**
   * Reads the first position. Called once, before the first chunk.
   *
   * @param count number of positions
   */
  final void begin(long count) {
    left = count;
    advance();
  }

  private void advance() {
    next = left-- > 0 ? nextPosition() : Long.MAX_VALUE;
  }

  /** Reads the next flat position. */
  abstract long nextPosition();

  /** Copies the next value to a buffer's position. */
  abstract void nextValue(ByteBuffer values);

  /** Returns an exception that names the file and the stored tensor. */
  abstract InvalidInputException refused(String why);

  @Override
  final void read(ChangedElements entries, long begin, int all) {
    long end = begin + all;
    long count = 0;
    try (Range.View positions = all(entries.positions());
        Range.View values = all(entries.values())) {
      while (next < end) {
        if (next < begin || count == entries.capacity()) {
          throw refused("has positions that do not ascend");
        }
        positions.bytes().putInt((int) (next - begin));
        nextValue(values.bytes());
        count++;
        advance();
      }
    }
    entries.count(count);
  }

  private static Range.View all(NativeBuffer buffer) {
    return Range.first(buffer, buffer.bytes()).output();
  }

  /** Checks that no position lies beyond the last chunk. */
  @Override
  void requireEnd() {
    if (next != Long.MAX_VALUE) {
      throw refused("has positions beyond the end of its tensor");
    }
  }
}
