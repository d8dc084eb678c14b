package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;

/** Reads and writes whole buffers, where a channel may transfer a part of one. */
final class FileIo {
  private FileIo() {}

  /** Returns a direct little-endian buffer. */
  static ByteBuffer littleEndian(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** Writes a buffer from its position to its limit. */
  static void writeFully(WritableByteChannel out, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

  /**
   * Fills a buffer to its limit and flips it.
   *
   * @param at position in the file, in bytes
   * @throws IOException if the file ends before the buffer is full
   */
  static void readFully(FileChannel in, long at, ByteBuffer bytes) throws IOException {
    long from = at;
    while (bytes.hasRemaining()) {
      int read = in.read(bytes, from);
      if (read < 0) {
        throw new IOException("a file ends early");
      }
      from += read;
    }
    bytes.flip();
  }
}
