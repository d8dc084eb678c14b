package org.threegate.patch;

import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/**
 * Decodes the changes of one tensor, chunk by chunk, as a {@link TensorEncoder} wrote them. The
 * stored data is untrusted: decoders check counts and sizes. That positions ascend within a chunk
 * is checked where changes are applied.
 */
abstract class TensorDecoder implements AutoCloseable {
  private final Tensor tensor;
  private final int width;
  private final ChangedElements entries;

  /**
   * Creates a decoder.
   *
   * @param tensor the tensor that changes
   * @param width bytes of a decoded unit: those of an element, or 1
   */
  TensorDecoder(Context context, Tensor tensor, int width, ChangedElements.Form form) {
    this.tensor = tensor;
    this.width = width;
    long units = (long) ChunkLayout.largestChunk(tensor) * ChunkLayout.elementBytes(tensor) / width;
    this.entries = ChangedElements.allocate(context, units, width, form);
  }

  /** Returns the tensor that changes. */
  final Tensor tensor() {
    return tensor;
  }

  /** Returns the bytes of a decoded unit: those of an element, or 1. */
  final int width() {
    return width;
  }

  /**
   * Decodes the changes of the next chunk. The result is valid until the next call.
   *
   * @param begin number of the first element of the chunk
   * @param count number of elements of the chunk
   * @return changed elements, or bytes; positions count from the start of the chunk
   */
  final ChangedElements next(long begin, int count) {
    int units = ChunkLayout.elementBytes(tensor) / width;
    read(entries, begin * units, count * units);
    return entries;
  }

  /**
   * Decodes the changes of the next chunk.
   *
   * @param begin number of the first unit of the chunk
   * @param count number of units of the chunk
   */
  abstract void read(ChangedElements entries, long begin, int count);

  /**
   * Checks, after the last chunk, that everything was read.
   *
   * @throws org.threegate.run.InvalidInputException if data is left
   */
  abstract void requireEnd();

  @Override
  public void close() {
    entries.close();
  }
}
