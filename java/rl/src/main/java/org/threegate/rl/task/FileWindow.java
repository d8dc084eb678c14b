package org.threegate.rl.task;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;

/** A part of a file. It reads no further than its end. */
final class FileWindow extends InputStream {
  private static final int BUFFER = 1 << 13;

  private final FileChannel file;
  private final long end;
  private final ByteBuffer buffer = ByteBuffer.allocate(BUFFER).limit(0);
  private long position;

  FileWindow(FileChannel file, long begin, long end) {
    this.file = file;
    this.position = begin;
    this.end = end;
  }

  @Override
  public int read() throws IOException {
    if (!buffer.hasRemaining()) {
      buffer.clear().limit((int) Math.min(BUFFER, end - position));
      int read = buffer.hasRemaining() ? file.read(buffer, position) : -1;
      buffer.flip();
      if (read < 0) {
        return -1;
      }
      position += read;
    }
    return buffer.get() & 0xff;
  }

  @Override
  public int read(byte[] to, int from, int length) throws IOException {
    if (length == 0) {
      return 0;
    }
    int first = read();
    if (first < 0) {
      return -1;
    }
    to[from] = (byte) first;
    int more = Math.min(length - 1, buffer.remaining());
    buffer.get(to, from + 1, more);
    return 1 + more;
  }
}
