package org.threegate.rl.policy;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.function.Consumer;
import org.bytedeco.openblas.global.openblas;
import org.bytedeco.pytorch.global.torch;

/**
 * Threads of models, for the whole process. Parts of a batch go to threads of ours, each of which
 * computes alone: what comes out does not depend on their number. A part that has no others beside
 * it gets threads for its products. The rest of libtorch takes one always: its threads and those of
 * products wait actively, and on few cores for each other, which was seen to cost nine tenths of
 * the time.
 *
 * <pre>{@code
 * Threads.use(4);
 * }</pre>
 */
public final class Threads {
  static {
    // Else JavaCPP asks the operating system at every new object how much memory the process has:
    // two fifths of sampling. Scopes free what is native; a collector is not needed for it. Whoever
    // has made native objects before sets it where the process starts.
    System.getProperties().putIfAbsent("org.bytedeco.javacpp.maxPhysicalBytes", "0");
    UnpackedLibraries.prepareTorch();
  }

  private static int count = Runtime.getRuntime().availableProcessors();
  private static ExecutorService pool = pool(count);
  private static int products;

  private Threads() {}

  /** Takes so many from now on; all processors unless this is called. */
  public static synchronized void use(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException(threads + " threads; 1 at least");
    }
    pool.shutdown();
    pool = pool(threads);
    count = threads;
    products = 0;
    prepare(count);
  }

  /** How many there are. */
  public static synchronized int count() {
    return count;
  }

  /** Before the first model is made. */
  static synchronized void initialise() {
    torch.set_num_threads(1);
    prepare(count);
  }

  private static void prepare(int threads) {
    if (products != threads) {
      // Calling it makes an object.
      Scopes.run(() -> openblas.blas_set_num_threads(threads));
      products = threads;
    }
  }

  private static ExecutorService pool(int threads) {
    return Executors.newFixedThreadPool(
        threads,
        work -> {
          Thread thread = new PartThread(work);
          thread.setDaemon(true);
          return thread;
        });
  }

  /** A thread of the pool: what it is given may have parts of its own. */
  private static final class PartThread extends Thread {
    PartThread(Runnable work) {
      super(work, "threegate-part");
    }
  }

  /**
   * Computes parts, as many at once as there are threads; one part alone in the caller's.
   *
   * @param taken is given the results in the order of the parts, each before the one that comes as
   *     many after it as there are threads is begun. Everything native that a result holds must
   *     outlive the scopes of its thread
   */
  public static <T> void map(List<Callable<T>> parts, Consumer<T> taken) {
    if (Thread.currentThread() instanceof PartThread) {
      // It would wait for threads of which it is one.
      parts.forEach(part -> taken.accept(call(part)));
    } else {
      together(parts, taken);
    }
  }

  private static synchronized <T> void together(List<Callable<T>> parts, Consumer<T> taken) {
    prepare(parts.size() == 1 ? count : 1);
    if (parts.size() == 1) {
      taken.accept(call(parts.get(0)));
      return;
    }
    Deque<Future<T>> started = new ArrayDeque<>();
    int next = 0;
    try {
      while (next < parts.size() || !started.isEmpty()) {
        while (next < parts.size() && started.size() < count) {
          started.add(pool.submit(parts.get(next++)));
        }
        Future<T> first = started.remove();
        taken.accept(call(() -> joined(first)));
      }
    } finally {
      // Others that were started work on tensors of the caller, also where one has failed.
      started.forEach(Threads::settle);
    }
  }

  private static void settle(Future<?> part) {
    try {
      joined(part);
    } catch (Exception e) {
      // The failure that came first is the one that is told.
    }
  }

  private static <T> T joined(Future<T> part) throws Exception {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return part.get();
        } catch (InterruptedException e) {
          // What was started has to end: it works on tensors of the caller.
          interrupted = true;
        }
      }
    } catch (ExecutionException e) {
      throw e.getCause() instanceof Exception cause ? cause : e;
    } finally {
      if (interrupted) {
        Thread.currentThread().interrupt();
      }
    }
  }

  private static <T> T call(Callable<T> part) {
    try {
      return part.call();
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }
}
