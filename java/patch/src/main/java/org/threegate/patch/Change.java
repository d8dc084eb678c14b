package org.threegate.patch;

import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/** A tensor before and after, chunk by chunk: memory does not depend on its size. */
record Change(Tensor before, Tensor after) {
  /** Elements that are compared, encoded and applied at a time. */
  static final int CHUNK = 1 << 22;

  Change {
    if (before.type() != after.type() || !before.shape().equals(after.shape())) {
      throw new InvalidInputException(
          after.file().path()
              + ": tensor \""
              + after.name()
              + "\" is "
              + after.type()
              + after.shape()
              + ", and "
              + before.type()
              + before.shape()
              + " in "
              + before.file().path());
    }
  }

  /** Bytes of an element; those of types that share bytes are bytes. */
  static int width(Tensor tensor) {
    int bits = tensor.type().bits();
    return bits % 8 == 0 ? bits / 8 : 1;
  }

  /** What is done with a chunk. */
  @FunctionalInterface
  interface Visit<E extends Exception> {
    /**
     * @param begin number of its first element
     * @param changed its changed elements, by their places in the chunk
     */
    void chunk(long begin, long count, ChangedElements changed) throws E;
  }

  /**
   * Compares.
   *
   * @param width of the elements that are compared: the tensor's, or 1 for its bytes
   */
  <E extends Exception> void forEachChunk(
      Context context, int width, ChangedElements.Form form, Visit<E> visit) throws E {
    long all = before.bytes() / width;
    int room = (int) Math.min(CHUNK, all);
    try (ChangedElements changed = ChangedElements.allocate(context, room, width, form)) {
      for (long begin = 0; begin < all; begin += CHUNK) {
        long count = Math.min(CHUNK, all - begin);
        changed.extract(part(before, begin, count, width), part(after, begin, count, width));
        visit.chunk(begin, count, changed);
      }
    }
  }

  private static ChangedElements.Elements part(Tensor tensor, long begin, long count, int width) {
    NativeBuffer buffer = tensor.file().buffer();
    return new ChangedElements.Elements(buffer, tensor.offset() + begin * width, count, width);
  }
}
