package org.threegate.patch;

import org.threegate.checkpoint.Tensor;

/**
 * What a journal has to write into one chunk of a tensor.
 *
 * @param begin number of the chunk's first element
 * @param width bytes of an entry: those of an element, or 1
 * @param hasBitmap whether a bitmap says which elements the entries are, instead of positions
 * @param count number of entries
 * @param at position of the entries in the journal, in bytes
 */
record JournalPart(Tensor tensor, long begin, int width, boolean hasBitmap, int count, long at) {
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

  /** Returns the number of elements of {@link #width} bytes in the chunk. */
  long elements() {
    return bytes() / width;
  }

  /** Returns the bytes in the journal that say where the entries are. */
  long placeBytes() {
    return hasBitmap ? JournalFormat.bitmapBytes(elements()) : (long) Integer.BYTES * count;
  }

  /** Returns the bytes of the entries in the journal. */
  long entryBytes() {
    return placeBytes() + (long) width * count;
  }
}
