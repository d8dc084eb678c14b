package org.threegate.spi;

import java.nio.ByteBuffer;

/**
 * A binding to the native library: the C functions of {@code threegate.h}, which are generated from
 * that header, and two functions that lead from a direct buffer to its address and back. Nothing is
 * checked here. Validation, lifetime and conveniences are in the layers above, once for all
 * bindings.
 */
public interface KernelBinding extends NativeFunctions {
  /** {@code "jni"} or {@code "ffm"}. */
  String name();

  /** Address of the first byte (index 0) of a direct buffer. */
  long addressOf(ByteBuffer direct);

  /**
   * Native memory as a direct buffer; the caller keeps it alive. {@code bytes} is at most {@link
   * Integer#MAX_VALUE}.
   */
  ByteBuffer viewOf(long address, long bytes);

  /**
   * The same, and who gave the memory is told when the view, and all that was made of it, is
   * collected.
   *
   * @param unreachable must not refer to the view; called once, from any thread
   */
  ByteBuffer viewOf(long address, long bytes, Runnable unreachable);
}
