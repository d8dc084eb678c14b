package org.threegate.patch;

import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/**
 * A tensor before and after a change.
 *
 * @param before the stored tensor
 * @param after the new elements, of the same dtype and shape
 */
record TensorChange(Tensor before, BlockSource after) {
  /** Receives the result of a comparison. */
  interface Visitor<E extends Exception> {
    /** Receives the old and the new bytes of each block, in ascending order. */
    void block(Range before, Range after) throws E;

    /**
     * Receives the changes of a chunk, after its blocks.
     *
     * @param begin number of the first element of the chunk
     * @param bytes length of the chunk
     * @param changed changed elements, or bytes; positions count from the start of the chunk
     */
    void chunk(long begin, int bytes, ChangedElements changed) throws E;
  }

  /**
   * Compares the elements and visits what changed.
   *
   * @param width bytes of the compared units: those of an element, or 1 to compare bytes
   * @param form whether changes are new values or differences
   */
  <E extends Exception> void forEachChunk(
      Context context, int width, ChangedElements.Form form, Visitor<E> visitor) throws E {
    long all = ChunkLayout.elements(before);
    int units = ChunkLayout.elementBytes(before) / width;
    int block = ChunkLayout.block(before);
    try (ChangedElements changed =
            ChangedElements.allocate(
                context, (long) ChunkLayout.largestChunk(before) * units, width, form);
        TensorReader reader = new TensorReader(context, before, Math.min(block, all))) {
      for (long begin = 0; begin < all; begin += ChunkLayout.CHUNK) {
        long end = begin + ChunkLayout.chunkAt(before, begin);
        changed.count(0);
        for (long at = begin; at < end; at += block) {
          long count = Math.min(block, end - at);
          Range old = reader.next(at, count);
          Range own = after.next(at, count);
          visitor.block(old, own);
          changed.append(old.elements(width), own.elements(width), (at - begin) * units);
        }
        int bytes = Math.toIntExact((end - begin) * units * width);
        visitor.chunk(begin, bytes, changed);
      }
    }
  }
}
