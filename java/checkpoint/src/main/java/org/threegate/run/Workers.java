package org.threegate.run;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicReference;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;

/**
 * A pool of threads for kernels. Every piece of work runs on one thread, with a context of one
 * thread, so that results do not depend on the size of the pool.
 *
 * <pre>{@code
 * try (Workers workers = Workers.like(context, "threegate-example")) {
 *   Future<Integer> threads = workers.submit((own, stop) -> own.threads());
 *   System.out.println(Workers.await(threads, control, workers::cancel));
 * }
 * }</pre>
 */
public final class Workers implements AutoCloseable {
  /** Milliseconds between two checks of {@link #await} for a cancellation. */
  private static final long CANCELLATION_MILLIS = 50;

  private static final int MOST_THREADS = 1024;

  private final int count;
  private final BlockingQueue<Context> contexts;
  private final Control control;
  private final Background threads;

  /**
   * A piece of work.
   *
   * @param <T> type of the result
   */
  @FunctionalInterface
  public interface Work<T> {
    /**
     * Does the work.
     *
     * @param own context of the thread that runs this
     * @param control cancelled by {@link Workers#cancel}
     * @return the result
     */
    T with(Context own, Control control);
  }

  /**
   * What {@link #forEach} does with one item.
   *
   * @param <T> type of the result
   */
  @FunctionalInterface
  public interface ItemWork<T> {
    /**
     * Processes an item.
     *
     * @param own context of the thread that runs this
     * @param item item to process
     * @throws IOException if the file system fails
     */
    void with(Context own, T item) throws IOException;
  }

  private Workers(String name, List<Context> contexts) {
    this.count = contexts.size();
    this.contexts = new ArrayBlockingQueue<>(count, false, contexts);
    this.control = Control.open(contexts.get(0));
    this.threads = new Background(name, count);
  }

  /**
   * Opens a pool on the device of a context, with as many threads as the context has.
   *
   * @param context context whose device and number of threads to use
   * @param name name of each thread
   * @return the pool, which the caller closes
   */
  public static Workers like(Context context, String name) {
    return like(context, context.threads(), name);
  }

  /**
   * Opens a pool on the device of a context that shares the context's number of threads: kernels of
   * each of the pool's threads use an equal part of them.
   *
   * @param context context whose device and number of threads to use
   * @param count number of threads of the pool, 1 to the threads of the context
   * @param name name of each thread
   * @return the pool, which the caller closes
   */
  public static Workers like(Context context, int count, String name) {
    int threads = context.threads();
    if (count < 1 || count > threads) {
      throw new IllegalArgumentException(count + " threads; allowed are 1 to " + threads);
    }
    List<Context> contexts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      contexts.add(context.another((threads - i + count - 1) / count));
    }
    return new Workers(name, contexts);
  }

  /**
   * Opens a pool on the CPU.
   *
   * @param count number of threads, 1 to 1024
   * @param name name of each thread
   * @return the pool, which the caller closes
   */
  public static Workers onCpu(int count, String name) {
    if (count < 1 || count > MOST_THREADS) {
      throw new IllegalArgumentException(count + " threads; allowed are 1 to " + MOST_THREADS);
    }
    List<Context> contexts = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      contexts.add(Context.open(Context.Device.CPU, 1));
    }
    return new Workers(name, contexts);
  }

  /**
   * Queues a piece of work for the next free thread.
   *
   * @param <T> type of the result
   * @param work what a thread computes
   * @return its result
   */
  public <T> Future<T> submit(Work<T> work) {
    return threads.submit(
        () -> {
          Context own = contexts.take();
          try {
            return work.with(own, control);
          } finally {
            contexts.add(own);
          }
        });
  }

  /**
   * Processes all items and waits for them. Items begin in the order of the list. After a failure
   * no further item begins.
   *
   * @param <T> type of the result
   * @param items items to process
   * @param work what a thread computes
   * @throws IOException if an item threw one; unchecked exceptions and errors are also rethrown.
   *     The first failure counts
   */
  public <T> void forEach(List<T> items, ItemWork<T> work) throws IOException {
    Queue<T> left = new ConcurrentLinkedQueue<>(items);
    AtomicReference<Throwable> failure = new AtomicReference<>();
    List<Future<Void>> loops = new ArrayList<>();
    for (int i = 0; i < Math.min(count, items.size()); i++) {
      loops.add(
          submit(
              (own, stop) -> {
                try {
                  for (T item = left.poll();
                      item != null && failure.get() == null;
                      item = left.poll()) {
                    work.with(own, item);
                  }
                } catch (IOException | RuntimeException | Error e) {
                  // The first failure is the cause; the other threads end because of it.
                  failure.compareAndSet(null, e);
                }
                return null;
              }));
    }
    try {
      for (Future<Void> loop : loops) {
        await(loop, control, () -> {});
      }
    } catch (CancelledException e) {
      failure.compareAndSet(null, e);
      throw e;
    }
    rethrow(failure.get());
  }

  private static void rethrow(Throwable failure) throws IOException {
    if (failure instanceof UncheckedIOException unchecked) {
      throw unchecked.getCause();
    }
    if (failure instanceof IOException checked) {
      throw checked;
    }
    if (failure instanceof RuntimeException unchecked) {
      throw unchecked;
    }
    if (failure instanceof Error error) {
      throw error;
    }
  }

  /** Cancels what runs and what is queued. */
  public void cancel() {
    control.cancel();
  }

  /**
   * Waits for a result.
   *
   * @param <T> type of the result
   * @param pending result to wait for
   * @param control control of the caller
   * @param cancel called if that control is cancelled while this waits
   * @return the result
   * @throws CancelledException if this thread is interrupted
   */
  public static <T> T await(Future<T> pending, Control control, Runnable cancel) {
    while (true) {
      try {
        return pending.get(CANCELLATION_MILLIS, TimeUnit.MILLISECONDS);
      } catch (TimeoutException e) {
        if (control.isCancelled()) {
          cancel.run();
        }
      } catch (ExecutionException e) {
        if (e.getCause() instanceof RuntimeException failure) {
          throw failure;
        }
        throw new IllegalStateException(e.getCause());
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new CancelledException();
      }
    }
  }

  /** Cancels what runs and waits for the threads. */
  @Override
  public void close() {
    cancel();
    threads.close();
    contexts.forEach(Context::close);
    control.close();
  }
}
