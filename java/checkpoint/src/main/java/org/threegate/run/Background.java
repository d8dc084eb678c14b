package org.threegate.run;

import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;

/**
 * A fixed pool of daemon threads that read mapped files. Closing always waits for the threads: a
 * file must not be unmapped while one of them reads it.
 *
 * <pre>{@code
 * try (Background background = new Background("threegate-example", 2)) {
 *   Future<Long> bytes = background.submit(() -> Files.size(base));
 *   System.out.println(bytes.get() + " bytes");
 * }
 * }</pre>
 */
public final class Background implements AutoCloseable {
  private final ExecutorService executor;

  /**
   * Starts the threads as they are needed.
   *
   * @param name name of each thread
   * @param threads number of threads, at least 1
   */
  public Background(String name, int threads) {
    executor =
        Executors.newFixedThreadPool(
            threads,
            work -> {
              Thread thread = new Thread(work, name);
              thread.setDaemon(true);
              return thread;
            });
  }

  /**
   * Queues work for the next free thread.
   *
   * @param <T> type of the result
   * @param work what the thread computes
   * @return its result
   */
  public <T> Future<T> submit(Callable<T> work) {
    return executor.submit(work);
  }

  @Override
  public void close() {
    executor.shutdown();
    boolean interrupted = false;
    while (true) {
      try {
        if (executor.awaitTermination(1, TimeUnit.HOURS)) {
          break;
        }
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }
}
