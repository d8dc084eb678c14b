package org.threegate.patch;

import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * A tensor before and after, in chunks, which patches are made of, and those in blocks, which fit
 * into a processor's cache: memory does not depend on its size.
 */
record Change(Tensor before, After after) {
  /** Elements that are encoded and applied at a time. */
  static final int CHUNK = 1 << 22;

  private static final int BLOCK_BYTES = 1 << 20;

  /** What becomes of a tensor, in its order. */
  @FunctionalInterface
  interface After {
    /** The next block; good until the one after it. */
    Range next(long begin, long count);
  }

  static void requireLike(Tensor before, Tensor after) {
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

  static long elements(Tensor tensor) {
    return tensor.bytes() / width(tensor);
  }

  /** Elements of the largest chunk. */
  static int largest(Tensor tensor) {
    return (int) Math.min(CHUNK, elements(tensor));
  }

  /** Elements of a block: a part of a chunk. */
  static int block(Tensor tensor) {
    return BLOCK_BYTES / width(tensor);
  }

  /** What is done with what is found. */
  interface Visitor<E extends Exception> {
    void block(Range before, Range after) throws E;

    /**
     * @param begin number of its first element
     * @param bytes that it has
     * @param changed its changed elements, or bytes, by their places in the chunk
     */
    void chunk(long begin, int bytes, ChangedElements changed) throws E;
  }

  /**
   * Compares.
   *
   * @param width of what is compared: the tensor's elements, or 1 for its bytes
   */
  <E extends Exception> void forEachChunk(
      Context context, int width, ChangedElements.Form form, Visitor<E> visitor) throws E {
    long all = elements(before);
    int part = width(before) / width;
    int block = block(before);
    try (ChangedElements changed =
            ChangedElements.allocate(context, (long) largest(before) * part, width, form);
        TensorReader reader = new TensorReader(context, before, Math.min(block, all))) {
      for (long begin = 0; begin < all; begin += CHUNK) {
        long end = Math.min(all, begin + CHUNK);
        changed.count(0);
        for (long at = begin; at < end; at += block) {
          long count = Math.min(block, end - at);
          Range old = reader.next(at, count);
          Range own = after.next(at, count);
          visitor.block(old, own);
          changed.append(old.elements(width), own.elements(width), (at - begin) * part);
        }
        visitor.chunk(begin, Math.toIntExact((end - begin) * width(before)), changed);
      }
    }
  }
}
