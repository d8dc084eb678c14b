package org.threegate.patch;

import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/** A tensor before and after, chunk by chunk: memory does not depend on its size. */
record Change(Tensor before, After after) {
  /** Elements that are compared, encoded and applied at a time. */
  static final int CHUNK = 1 << 22;

  /** What becomes of a tensor, in the order of its chunks. */
  @FunctionalInterface
  interface After {
    /** The next chunk. */
    Range next(long begin, long count);
  }

  /** Of two stored tensors. */
  static Change of(Tensor before, Tensor after) {
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
    return new Change(before, (begin, count) -> Range.of(after, begin, count));
  }

  /** Bytes of an element; those of types that share bytes are bytes. */
  static int width(Tensor tensor) {
    int bits = tensor.type().bits();
    return bits % 8 == 0 ? bits / 8 : 1;
  }

  static long elements(Tensor tensor) {
    return tensor.bytes() / width(tensor);
  }

  /** Elements of the largest chunk. */
  static int largest(Tensor tensor) {
    return (int) Math.min(CHUNK, elements(tensor));
  }

  /** What is done with a chunk. */
  @FunctionalInterface
  interface Visit<E extends Exception> {
    /**
     * @param begin number of its first element
     * @param changed its changed elements, or bytes, by their places in the chunk
     */
    void chunk(long begin, Range before, Range after, ChangedElements changed) throws E;
  }

  /**
   * Compares.
   *
   * @param width of what is compared: the tensor's elements, or 1 for its bytes
   */
  <E extends Exception> void forEachChunk(
      Context context, int width, ChangedElements.Form form, Visit<E> visit) throws E {
    long all = elements(before);
    long room = (long) largest(before) * width(before) / width;
    try (ChangedElements changed = ChangedElements.allocate(context, room, width, form)) {
      for (long begin = 0; begin < all; begin += CHUNK) {
        long count = Math.min(CHUNK, all - begin);
        Range old = Range.of(before, begin, count);
        Range own = after.next(begin, count);
        changed.extract(old.elements(width), own.elements(width));
        visit.chunk(begin, old, own, changed);
      }
    }
  }
}
