package org.threegate.binding.jni;

import java.lang.ref.Cleaner;
import java.nio.ByteBuffer;
import org.threegate.spi.KernelBinding;

/** Calls C functions through JNI. Direct buffers use functions of JNI itself. */
final class JniBinding extends JniFunctions implements KernelBinding {
  private static final Cleaner CLEANER = Cleaner.create();

  @Override
  public String name() {
    return "jni";
  }

  @Override
  public long addressOf(ByteBuffer direct) {
    return Buffers.addressOf(direct);
  }

  @Override
  public ByteBuffer viewOf(long address, long bytes) {
    return Buffers.viewOf(address, bytes);
  }

  /**
   * Watches the buffer itself. Slices and duplicates keep it reachable, so it is collected last.
   */
  @Override
  public ByteBuffer viewOf(long address, long bytes, Runnable unreachable) {
    ByteBuffer view = Buffers.viewOf(address, bytes);
    CLEANER.register(view, unreachable);
    return view;
  }
}
