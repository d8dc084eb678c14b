package org.threegate.cuda;

import java.nio.file.Path;
import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;

/** Memory of the emulated device, which a test sees as memory of the host, too. */
final class EmulatedMemory implements AutoCloseable {
  static {
    System.load(
        Path.of(System.getProperty("threegate.test.emulation"), "libthreegate_java_memory.so")
            .toString());
  }

  private final long address;
  private final long floats;

  /** Allocates memory. A context of the device must have been opened before. */
  EmulatedMemory(long floats) {
    this.floats = floats;
    this.address = allocate(floats * Float.BYTES);
    if (address == 0) {
      throw new IllegalStateException("the emulation has no memory");
    }
  }

  private static native long allocate(long bytes);

  private static native void free(long address);

  /** The pointer that {@code cudaMalloc} would set. */
  FloatPointer pointer() {
    return new FloatPointer(
        new Pointer() {
          {
            address = EmulatedMemory.this.address;
            limit = floats;
            capacity = floats;
          }
        });
  }

  @Override
  public void close() {
    free(address);
  }
}
