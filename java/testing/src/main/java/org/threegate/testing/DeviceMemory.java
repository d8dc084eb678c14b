package org.threegate.testing;

import java.nio.file.Path;

/**
 * Memory of the emulated device, which a test reads and writes as memory of the host. To kernels it
 * is memory of a device.
 */
public final class DeviceMemory implements AutoCloseable {
  static {
    System.load(
        Path.of(System.getProperty("threegate.test.emulation"), "libthreegate_java_memory.so")
            .toString());
  }

  private final long address;

  /**
   * Allocates memory. A context of the device must have been opened before.
   *
   * @param bytes number of bytes
   */
  public DeviceMemory(long bytes) {
    this.address = allocate(bytes);
    if (address == 0) {
      throw new IllegalStateException("the emulation has no memory");
    }
  }

  private static native long allocate(long bytes);

  private static native void free(long address);

  /** {@return the bytes that were copied from the device to the host since the process began} */
  public static native long bytesToHost();

  /**
   * Copies memory of the device to the host, as {@code cudaMemcpy} does.
   *
   * @param to address on the host
   * @param from address on the device
   * @param bytes number of bytes
   */
  public static native void copyToHost(long to, long from, long bytes);

  /** {@return the address that {@code cudaMalloc} would set} */
  public long address() {
    return address;
  }

  @Override
  public void close() {
    free(address);
  }
}
