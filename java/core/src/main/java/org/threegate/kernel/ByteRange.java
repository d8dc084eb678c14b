package org.threegate.kernel;

import java.util.Objects;
import org.threegate.buffer.NativeBuffer;

/**
 * A range of bytes in a buffer.
 *
 * @param buffer buffer with the bytes
 * @param offset position of the first byte
 * @param bytes number of bytes
 */
public record ByteRange(NativeBuffer buffer, long offset, long bytes) {
  /**
   * Checks the components.
   *
   * @throws IndexOutOfBoundsException if the range exceeds the buffer
   */
  public ByteRange {
    Objects.checkFromIndexSize(offset, bytes, buffer.bytes());
  }
}
