package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;

/**
 * A part of a native buffer.
 *
 * @param offset first byte
 * @param bytes length, below 2<sup>31</sup>
 */
record Range(NativeBuffer buffer, long offset, int bytes) {
  /**
   * Returns a range of elements of a mapped tensor.
   *
   * @param begin number of the first element
   * @param count number of elements
   */
  static Range of(Tensor tensor, long begin, long count) {
    int width = ChunkLayout.elementBytes(tensor);
    return new Range(
        tensor.file().buffer(),
        tensor.offset() + begin * width,
        Math.toIntExact(Math.multiplyExact(count, width)));
  }

  /** Returns the first bytes of a buffer. */
  static Range first(NativeBuffer buffer, long bytes) {
    return new Range(buffer, 0, Math.toIntExact(bytes));
  }

  /**
   * A direct buffer over a range. The native buffer cannot be closed before the view is.
   *
   * @param bytes little-endian
   */
  record View(NativeBuffer.Lease lease, ByteBuffer bytes) implements AutoCloseable {
    @Override
    public void close() {
      lease.close();
    }
  }

  /** Opens a view to read from. */
  View view() {
    return view(buffer.lease());
  }

  /** Opens a view to write to. */
  View output() {
    return view(buffer.leaseForOutput());
  }

  private View view(NativeBuffer.Lease lease) {
    try {
      return new View(lease, lease.view(offset, bytes));
    } catch (RuntimeException e) {
      lease.close();
      throw e;
    }
  }

  /**
   * Returns the range as an array of elements.
   *
   * @param width bytes of an element
   */
  ChangedElements.Elements elements(int width) {
    return new ChangedElements.Elements(buffer, offset, bytes / width, width);
  }

  /** Appends the range to a channel. */
  void write(WritableByteChannel out) throws IOException {
    buffer.writeTo(out, offset, bytes);
  }
}
