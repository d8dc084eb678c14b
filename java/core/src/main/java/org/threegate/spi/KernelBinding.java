package org.threegate.spi;

import java.nio.ByteBuffer;

/**
 * A binding to the native library. It has the C functions of {@code threegate.h}, generated from
 * that header, and functions that convert between direct buffers and addresses. It does not check
 * arguments. The layers above do so for all bindings, and manage lifetimes.
 */
public interface KernelBinding extends NativeFunctions {
  /** {@return {@code "jni"} or {@code "ffm"}} */
  String name();

  /**
   * {@return the address of the first byte (index 0) of a direct buffer}
   *
   * @param direct direct buffer
   */
  long addressOf(ByteBuffer direct);

  /**
   * {@return a view of native memory as a direct buffer} The caller keeps the memory alive.
   *
   * @param address address of the first byte
   * @param bytes size of the view, at most {@link Integer#MAX_VALUE}
   */
  ByteBuffer viewOf(long address, long bytes);

  /**
   * {@return a view of native memory, and reports when the view and everything derived from it have
   * been collected}
   *
   * @param address address of the first byte
   * @param bytes size of the view
   * @param unreachable called once, from any thread; must not refer to the view
   */
  ByteBuffer viewOf(long address, long bytes, Runnable unreachable);
}
