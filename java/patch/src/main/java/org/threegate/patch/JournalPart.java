package org.threegate.patch;

import org.threegate.checkpoint.Tensor;

/**
 * What a journal has to write into one chunk of a tensor.
 *
 * @param begin number of the chunk's first element
 * @param width bytes of an entry: those of an element, or 1
 * @param count number of entries
 * @param at position of the entries in the journal, in bytes
 */
record JournalPart(Tensor tensor, long begin, int width, int count, long at) {
  /** Bytes of the largest chunk of any tensor. */
  static final long MOST = 8L * ChunkLayout.CHUNK;

  /** Returns the position of the chunk in the tensor's file, in bytes. */
  long offset() {
    return tensor.offset() + begin * ChunkLayout.elementBytes(tensor);
  }

  /** Returns the bytes of the chunk. */
  long bytes() {
    return (long) ChunkLayout.chunkAt(tensor, begin) * ChunkLayout.elementBytes(tensor);
  }

  /** Returns the bytes of the entries in the journal. */
  long entryBytes() {
    return (long) count * (Integer.BYTES + width);
  }
}
