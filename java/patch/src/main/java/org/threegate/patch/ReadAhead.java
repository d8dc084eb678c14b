package org.threegate.patch;

import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;

/**
 * Asks for what will be read next, once a read was so slow that it came from a disk: files in
 * memory are not looked through twice.
 */
final class ReadAhead {
  private static final long WINDOW = 1L << 25; // bytes that are asked for at a time
  private static final double SLOW = 1e-9; // seconds a byte: no memory is as slow

  private volatile boolean cold;

  /** Of one tensor, in its order. */
  final class Reading {
    private final Context context;
    private final Tensor tensor;
    private long asked;

    private Reading(Context context, Tensor tensor) {
      this.context = context;
      this.tensor = tensor;
      ask(0);
    }

    private void ask(long from) {
      if (cold && asked < tensor.bytes() && from + WINDOW / 2 > asked) {
        long bytes = Math.min(WINDOW, tensor.bytes() - asked);
        tensor.file().willNeed(context, tensor.offset() + asked, bytes);
        asked += bytes;
      }
    }

    /** After a read of so many bytes, which began then. */
    void took(long from, long bytes, long began) {
      cold |= (System.nanoTime() - began) * 1e-9 > SLOW * bytes + 1e-3;
      ask(from + bytes);
    }
  }

  Reading of(Context context, Tensor tensor) {
    return new Reading(context, tensor);
  }
}
