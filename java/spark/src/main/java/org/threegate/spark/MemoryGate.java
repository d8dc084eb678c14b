package org.threegate.spark;

import java.io.IOException;

/**
 * Native memory that the tasks of one executor may hold together. A task waits until what it takes
 * is free; what takes more than there is runs alone.
 */
final class MemoryGate {
  private final long capacity;
  private long held;
  private int holders;
  private boolean exclusive;

  /**
   * @param capacity in bytes
   */
  MemoryGate(long capacity) {
    this.capacity = capacity;
  }

  /** What takes memory. */
  interface Holder<T> {
    T run() throws IOException;
  }

  /** Runs when so much is free; when nothing else runs, if {@code alone}. */
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
