package org.threegate.binding.jni;

import java.nio.ByteBuffer;

/** Direct buffers and their addresses: two functions of JNI itself, in {@code buffers.h}. */
final class Buffers {
  private Buffers() {}

  static native long addressOf(ByteBuffer direct);

  static native ByteBuffer viewOf(long address, long bytes);
}
