package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;

/** Bytes of native memory, 2³¹ at most. */
record Range(NativeBuffer buffer, long offset, int bytes) {
  /** Elements {@code begin} and so on of a tensor. */
  static Range of(Tensor tensor, long begin, long count) {
    int width = Change.width(tensor);
    return new Range(
        tensor.file().buffer(),
        tensor.offset() + begin * width,
        Math.toIntExact(Math.multiplyExact(count, width)));
  }

  /** The first bytes of a buffer. */
  static Range first(NativeBuffer buffer, long bytes) {
    return new Range(buffer, 0, Math.toIntExact(bytes));
  }

  /** For libraries that take direct buffers: the buffer cannot be closed before this is. */
  record View(NativeBuffer.Lease lease, ByteBuffer bytes) implements AutoCloseable {
    @Override
    public void close() {
      lease.close();
    }
  }

  /** To read from. */
  View view() {
    return view(buffer.lease());
  }

  /** To write to. */
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

  ChangedElements.Elements elements(int width) {
    return new ChangedElements.Elements(buffer, offset, bytes / width, width);
  }

  void write(FileChannel out) throws IOException {
    buffer.writeTo(out, offset, bytes);
  }

  static void writeFully(FileChannel out, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

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

  static void zero(NativeBuffer buffer, long bytes) {
    buffer.fill(0, bytes, (byte) 0);
  }
}
