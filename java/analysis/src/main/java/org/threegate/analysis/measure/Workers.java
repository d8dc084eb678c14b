package org.threegate.analysis.measure;

import java.util.concurrent.ArrayBlockingQueue;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;

/**
 * Work beside the caller's, each piece by one thread with a context of its own, so that results do
 * not depend on how many there are.
 *
 * <pre>{@code
 * try (Workers workers = new Workers(context, "threegate-example")) {
 *   Future<Integer> threads = workers.submit((own, stop) -> own.threads());
 *   System.out.println(Workers.await(threads, control, workers::cancel));
 * }
 * }</pre>
 */
public final class Workers implements AutoCloseable {
  /** How often a cancellation is looked for while waiting. */
  private static final long CANCELLATION_MILLIS = 50;

  private final BlockingQueue<Context> contexts;
  private final Control control;
  private final Background threads;

  /** What they do. */
  @FunctionalInterface
  public interface Work<T> {
    T with(Context context, Control control);
  }

  /**
   * @param context gives the number of threads, and their device
   */
  public Workers(Context context, String name) {
    int count = context.threads();
    this.control = Control.open(context);
    this.contexts = new ArrayBlockingQueue<>(count);
    for (int i = 0; i < count; i++) {
      contexts.add(context.another(1));
    }
    this.threads = new Background(name, count);
  }

  /** Has it done by the next thread that is free. */
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

  /** Stops what runs, and what would. */
  public void cancel() {
    control.cancel();
  }

  /**
   * Waits for a result.
   *
   * @param control of the caller
   * @param cancel what a cancellation through it means meanwhile
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
        throw new Comparison.CancelledException();
      }
    }
  }

  @Override
  public void close() {
    cancel();
    threads.close();
    contexts.forEach(Context::close);
    control.close();
  }
}
