package org.threegate.cuda;

import org.bytedeco.javacpp.FloatPointer;
import org.bytedeco.javacpp.Pointer;
import org.threegate.testing.DeviceMemory;

/** Numbers in the memory of the emulated device. */
final class EmulatedMemory implements AutoCloseable {
  private final DeviceMemory memory;
  private final long floats;

  /** Allocates memory. A context of the device must have been opened before. */
  EmulatedMemory(long floats) {
    this.floats = floats;
    this.memory = new DeviceMemory(floats * Float.BYTES);
  }

  /** The pointer that {@code cudaMalloc} would set. */
  FloatPointer pointer() {
    return new FloatPointer(
        new Pointer() {
          {
            address = memory.address();
            limit = floats;
            capacity = floats;
          }
        });
  }

  @Override
  public void close() {
    memory.close();
  }
}
