package org.threegate.checkpoint;

import java.nio.ByteBuffer;
import java.util.List;

/**
 * A box of a tensor, with at least one entry.
 *
 * @param tensor what is stored; its first entry is the first one of the box
 * @param begin first index of each dimension
 * @param size number of indexes of each dimension
 * @param strides stored entries from one index to the next of each dimension
 */
public record TensorPiece(Tensor tensor, List<Long> begin, List<Long> size, List<Long> strides) {
  /** Copies the lists. */
  public TensorPiece {
    begin = List.copyOf(begin);
    size = List.copyOf(size);
    strides = List.copyOf(strides);
  }

  /** Receives entries. */
  @FunctionalInterface
  public interface Destination {
    /**
     * Writes bytes.
     *
     * @param offset position of the first byte
     * @param bytes the bytes, from its position to its limit; they are valid during the call
     */
    void put(long offset, ByteBuffer bytes);
  }
}
