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
 * The thread pool of models, for the whole process. Parts of a batch run on its threads, and each
 * part computes with one thread. Results therefore do not depend on the number of threads. A part
 * that runs alone uses several threads for its matrix products. The other thread pools of libtorch
 * are limited to one thread: they busy-wait, and on few cores that took nine tenths of the time.
 *
 * <pre>{@code
 * Threads.use(4);
 * }</pre>
 */
public final class Threads {
  static {
    // By default, JavaCPP queries the memory of the process for every new object, which took two
    // fifths
    // of the time of sampling. Scopes free native memory, so the check is not needed. It has no
    // effect
    // when native objects existed before; such programs set the property at their start.
    System.getProperties().putIfAbsent("org.bytedeco.javacpp.maxPhysicalBytes", "0");
    UnpackedLibraries.prepareTorch();
  }

  private static int count = Runtime.getRuntime().availableProcessors();
  private static ExecutorService pool = pool(count);
  private static int products;

  private Threads() {}

  /**
   * Sets the number of threads. The default is the number of processors.
   *
   * @param threads the number of threads, 1 or more
   */
  public static synchronized void use(int threads) {
    if (threads < 1) {
      throw new IllegalArgumentException("threads must be 1 or more, not " + threads);
    }
    pool.shutdown();
    pool = pool(threads);
    count = threads;
    products = 0;
    prepare(count);
  }

  /** {@return the number of threads} */
  public static synchronized int count() {
    return count;
  }

  /** Configures libtorch. This must run before the first model is created. */
  static synchronized void initialise() {
    torch.set_num_threads(1);
    prepare(count);
  }

  private static void prepare(int threads) {
    if (products != threads) {
      // This call creates a native object.
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

  /** A thread of the pool, which may split its work into parts, too. */
  private static final class PartThread extends Thread {
    PartThread(Runnable work) {
      super(work, "threegate-part");
    }
  }

  /**
   * Computes parts in parallel. A single part runs on the calling thread.
   *
   * @param <T> the type of a result
   * @param parts the computations
   * @param taken receives the results in the order of the parts. Result i is passed on before part
   *     i + n starts, where n is the number of threads. Native objects of a result must outlive the
   *     scopes of the thread that computed them
   */
  public static <T> void map(List<Callable<T>> parts, Consumer<T> taken) {
    if (Thread.currentThread() instanceof PartThread) {
      // A thread of the pool must not wait for the pool.
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
      // Even after a failure, parts that have started still use tensors of the caller.
      started.forEach(Threads::settle);
    }
  }

  private static void settle(Future<?> part) {
    try {
      joined(part);
    } catch (Exception e) {
      // Report the first failure.
    }
  }

  private static <T> T joined(Future<T> part) throws Exception {
    boolean interrupted = false;
    try {
      while (true) {
        try {
          return part.get();
        } catch (InterruptedException e) {
          // Wait for parts that have started: they use tensors of the caller.
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
