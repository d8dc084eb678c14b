package org.threegate.spark;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;

/**
 * Native memory that goes from item to item of an executor's tasks: reading into fresh memory takes
 * seven times as long as into memory that was touched before, since each of its pages is a fault.
 * There are no more than were in use at a time; those that nobody wants for a while are freed.
 */
final class Arenas {
  private static final long IDLE_SECONDS = 10;

  private final List<NativeBuffer> idle = new ArrayList<>();
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          task -> {
            Thread thread = new Thread(task, "threegate-arenas");
            thread.setDaemon(true);
            return thread;
          });
  private long lastUse = System.nanoTime();

  /** Memory of at least so many bytes, with anything in it. */
  synchronized NativeBuffer take(Context context, long bytes) {
    lastUse = System.nanoTime();
    NativeBuffer found = null;
    NativeBuffer largest = null;
    for (NativeBuffer one : idle) {
      if (one.bytes() >= bytes && (found == null || one.bytes() < found.bytes())) {
        found = one;
      }
      if (largest == null || one.bytes() > largest.bytes()) {
        largest = one;
      }
    }
    if (found != null) {
      idle.remove(found);
      return found;
    }
    if (largest != null) {
      idle.remove(largest);
      largest.close();
    }
    return context.allocate(bytes);
  }

  /** Gives it back. */
  synchronized void give(NativeBuffer arena) {
    lastUse = System.nanoTime();
    idle.add(arena);
    if (idle.size() == 1) {
      timer.schedule(this::freeIdle, IDLE_SECONDS, TimeUnit.SECONDS);
    }
  }

  private synchronized void freeIdle() {
    long left = IDLE_SECONDS - TimeUnit.NANOSECONDS.toSeconds(System.nanoTime() - lastUse);
    if (left <= 0) {
      free();
    } else if (!idle.isEmpty()) {
      timer.schedule(this::freeIdle, left, TimeUnit.SECONDS);
    }
  }

  /** Frees what nobody uses. */
  synchronized void free() {
    idle.forEach(NativeBuffer::close);
    idle.clear();
  }
}
