package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
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

  ByteBuffer slice() {
    return buffer.slice(offset, bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  ChangedElements.Elements elements(int width) {
    return new ChangedElements.Elements(buffer, offset, bytes / width, width);
  }

  void write(FileChannel out) throws IOException {
    writeFully(out, slice());
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
    ByteBuffer all = buffer.slice(0, Math.toIntExact(bytes)).order(ByteOrder.nativeOrder());
    while (all.remaining() >= Long.BYTES) {
      all.putLong(0);
    }
    while (all.hasRemaining()) {
      all.put((byte) 0);
    }
  }
}
