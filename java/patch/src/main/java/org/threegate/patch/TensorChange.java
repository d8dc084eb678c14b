package org.threegate.patch;

import java.util.Optional;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.ChangedElements.StoredElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.Xxh3;

/**
 * A tensor before and after a change.
 *
 * @param before the stored tensor
 * @param after the new elements, of the same dtype and shape
 */
record TensorChange(Tensor before, BlockSource after) {
  /**
   * Checksums of all bytes.
   *
   * @param before of the old bytes
   * @param after of the new bytes
   */
  record Checksums(ChecksumFormat.Checksum before, ChecksumFormat.Checksum after)
      implements AutoCloseable {
    @Override
    public void close() {
      before.close();
      after.close();
    }
  }

  /** Receives the result of a comparison. */
  @FunctionalInterface
  interface Visitor<E extends Exception> {
    /**
     * Receives the changes of a chunk.
     *
     * @param begin number of the first element of the chunk
     * @param bytes length of the chunk
     * @param changed changed elements, or bytes; positions count from the start of the chunk
     */
    void chunk(long begin, int bytes, ChangedElements changed) throws E;
  }

  /** Appends the changes of a chunk, and adds its bytes to the checksums. */
  @FunctionalInterface
  private interface Comparison {
    void append(long begin, long end);
  }

  /**
   * Compares the elements and visits what changed, chunk by chunk in ascending order.
   *
   * @param width bytes of the compared units: those of an element, or 1 to compare bytes
   * @param form whether changes are new values or differences
   * @param checksums receive all bytes
   */
  <E extends Exception> void forEachChunk(
      Context context,
      int width,
      ChangedElements.Form form,
      Checksums checksums,
      Visitor<E> visitor)
      throws E {
    long all = ChunkLayout.elements(before);
    int units = ChunkLayout.elementBytes(before) / width;
    try (ChangedElements changed =
            ChangedElements.allocate(
                context, (long) ChunkLayout.largestChunk(before) * units, width, form);
        TensorReader reader =
            new TensorReader(context, before, Math.min(ChunkLayout.block(before), all))) {
      Comparison comparison =
          comparisonOfFiles(changed, checksums)
              .orElseGet(() -> comparisonOfBlocks(reader, changed, checksums));
      for (long begin = 0; begin < all; begin += ChunkLayout.CHUNK) {
        long end = begin + ChunkLayout.chunkAt(before, begin);
        changed.count(0);
        comparison.append(begin, end);
        visitor.chunk(begin, Math.toIntExact((end - begin) * units * width), changed);
      }
    }
  }

  /**
   * Compares in a kernel that reads the files, if both tensors are stored and it has the checksum.
   */
  private Optional<Comparison> comparisonOfFiles(ChangedElements changed, Checksums checksums) {
    return after
        .stored()
        .flatMap(
            stored ->
                checksums
                    .before()
                    .kernel()
                    .flatMap(
                        old ->
                            checksums
                                .after()
                                .kernel()
                                .map(own -> comparisonOfFiles(changed, stored, old, own))));
  }

  private Comparison comparisonOfFiles(
      ChangedElements changed, Tensor stored, Xxh3 oldSum, Xxh3 ownSum) {
    int bytes = ChunkLayout.elementBytes(before);
    return (begin, end) -> {
      var old = new StoredElements(before.file(), before.offset() + begin * bytes, oldSum);
      var own = new StoredElements(stored.file(), stored.offset() + begin * bytes, ownSum);
      changed.append(old, own, (end - begin) * bytes / changed.width(), 0);
    };
  }

  private Comparison comparisonOfBlocks(
      TensorReader reader, ChangedElements changed, Checksums checksums) {
    int width = changed.width();
    int units = ChunkLayout.elementBytes(before) / width;
    int block = ChunkLayout.block(before);
    return (begin, end) -> {
      for (long at = begin; at < end; at += block) {
        long count = Math.min(block, end - at);
        Range old = reader.next(at, count);
        Range own = after.next(at, count);
        checksums.before().update(old);
        checksums.after().update(own);
        changed.append(old.elements(width), own.elements(width), (at - begin) * units);
      }
    };
  }
}
