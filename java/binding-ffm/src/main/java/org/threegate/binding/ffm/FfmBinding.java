package org.threegate.binding.ffm;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import org.threegate.spi.KernelBinding;

/** Calls C functions through the foreign function interface. Direct buffers are memory segments. */
final class FfmBinding extends FfmFunctions implements KernelBinding {
  FfmBinding(DynamicLibrary opened) {
    super(opened);
  }

  @Override
  public String name() {
    return "ffm";
  }

  @Override
  public long addressOf(ByteBuffer direct) {
    return MemorySegment.ofBuffer(direct.duplicate().clear()).address();
  }

  @Override
  public ByteBuffer viewOf(long address, long bytes) {
    return MemorySegment.ofAddress(address).reinterpret(bytes).asByteBuffer();
  }

  /**
   * Watches the arena instead of the buffer, because segments made from the buffer keep only the
   * arena reachable.
   */
  @Override
  public ByteBuffer viewOf(long address, long bytes, Runnable unreachable) {
    return MemorySegment.ofAddress(address)
        .reinterpret(bytes, Arena.ofAuto(), segment -> unreachable.run())
        .asByteBuffer();
  }
}
