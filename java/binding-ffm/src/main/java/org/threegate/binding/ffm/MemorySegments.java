package org.threegate.binding.ffm;

import java.lang.foreign.MemorySegment;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;

/**
 * Uses memory segments as buffers, without a copy. It works with both bindings.
 *
 * <pre>{@code
 * try (Arena arena = Arena.ofShared();
 *     NativeBuffer buffer = MemorySegments.wrap(context, arena.allocate(1024))) {
 *   buffer.putDouble(0, 1.5);
 * }
 * }</pre>
 */
public final class MemorySegments {
  private MemorySegments() {}

  /**
   * Wraps a native segment. The arena of the segment must stay open until the result is closed; the
   * result keeps a segment of an automatic arena alive itself.
   *
   * @param context context whose kernels use the memory
   * @param segment native segment of any size; a read-only one is at most 2 GiB
   * @return a buffer over the same memory, which is read-only if the segment is
   * @throws IllegalArgumentException if the segment lies on the heap, or is read-only and larger
   *     than 2 GiB
   * @throws IllegalStateException if the arena of the segment is closed
   */
  public static NativeBuffer wrap(Context context, MemorySegment segment) {
    if (!segment.isNative()) {
      throw new IllegalArgumentException("a heap segment has no address; allocate it in an Arena");
    }
    if (!segment.scope().isAlive()) {
      throw new IllegalStateException("the arena of the segment is closed");
    }
    if (!segment.isReadOnly()) {
      return context.wrap(segment.address(), segment.byteSize(), segment);
    }
    if (segment.byteSize() > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "a read-only segment of " + segment.byteSize() + " bytes; at most 2 GiB can be wrapped");
    }
    return context.wrap(segment.asByteBuffer());
  }
}
