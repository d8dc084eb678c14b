package org.threegate.spark;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;

/**
 * A pool of native memory for the tasks of an executor. Reading into fresh memory takes seven times
 * as long as into touched memory, because of page faults. The pool never exceeds the peak number of
 * arenas in use, and idle arenas are freed after a while.
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

  /** Takes an arena of at least {@code bytes} bytes with undefined content. */
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

  /** Returns an arena to the pool. */
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

  /** Frees all arenas that are not in use. */
  synchronized void free() {
    idle.forEach(NativeBuffer::close);
    idle.clear();
  }
}
