package org.threegate.spark;

import java.io.IOException;

/**
 * Limits the native memory that the tasks of one executor use together. A task waits until enough
 * memory is free. A task that needs more than the capacity runs alone.
 */
final class MemoryGate {
  private final long capacity;
  private long held;
  private int holders;
  private boolean exclusive;

  /**
   * Creates a gate.
   *
   * @param capacity capacity in bytes
   */
  MemoryGate(long capacity) {
    this.capacity = capacity;
  }

  /** Code that uses memory. */
  interface Holder<T> {
    T run() throws IOException;
  }

  /** Runs code once this many bytes are free. If {@code alone}, waits until nothing else runs. */
  <T> T hold(long bytes, boolean alone, Holder<T> holder) throws IOException, InterruptedException {
    boolean whole = alone || bytes > capacity;
    synchronized (this) {
      while (exclusive || (whole ? holders > 0 : held + bytes > capacity)) {
        wait();
      }
      held += bytes;
      holders++;
      exclusive = whole;
    }
    try {
      return holder.run();
    } finally {
      synchronized (this) {
        held -= bytes;
        holders--;
        exclusive = false;
        notifyAll();
      }
    }
  }
}
