package org.threegate.buffer;

import java.util.Optional;
import java.util.function.Supplier;

/** A copy of device memory on the host, which is made when it is first needed. */
final class HostCopy implements AutoCloseable {
  private final Supplier<NativeBuffer> make;
  private Optional<NativeBuffer> made = Optional.empty();

  HostCopy(Supplier<NativeBuffer> make) {
    this.make = make;
  }

  /**
   * Returns the copy. Its user holds a lease on the device memory, so it is not closed meanwhile.
   */
  synchronized NativeBuffer buffer() {
    if (made.isEmpty()) {
      made = Optional.of(make.get());
    }
    return made.get();
  }

  @Override
  public synchronized void close() {
    made.ifPresent(NativeBuffer::close);
  }
}
