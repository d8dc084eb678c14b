package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;

/** Bytes of buffers. */
final class Bytes {
  private Bytes() {}

  static ByteBuffer little(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  static void writeFully(FileChannel out, ByteBuffer bytes) throws IOException {
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

  /** Writes one xor the other to a third, which may be one of them, up to its limit. */
  static void xor(ByteBuffer one, ByteBuffer other, ByteBuffer to) {
    int bytes = to.limit();
    int at = 0;
    ByteBuffer first = one.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer second = other.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    ByteBuffer result = to.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    for (; at + Long.BYTES <= bytes; at += Long.BYTES) {
      result.putLong(at, first.getLong(at) ^ second.getLong(at));
    }
    for (; at < bytes; at++) {
      result.put(at, (byte) (first.get(at) ^ second.get(at)));
    }
    to.position(bytes);
  }
}
