package org.threegate.rl.verifier;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Runs code that is not trusted to return: each call has a time limit, and may throw anything. A
 * call that takes longer is interrupted and abandoned.
 *
 * <pre>{@code
 * try (BoundedCalls calls = new BoundedCalls("scripts", Duration.ofSeconds(2), 4)) {
 *   List<BoundedCalls.Result<Integer>> results = calls.all(List.of(() -> 1 + 1));
 * }
 * }</pre>
 */
public final class BoundedCalls implements AutoCloseable {
  /** Abandoned calls that still run, beyond which {@link #all} fails. */
  static final int MOST_ABANDONED = 64;

  private final String what;
  private final long limitNanos;
  private final int threads;
  private final ExecutorService executor;
  private final AtomicInteger abandoned = new AtomicInteger();
  private final AtomicLong crashes = new AtomicLong();
  private final AtomicLong timeouts = new AtomicLong();

  /**
   * Creates the pool that runs the calls.
   *
   * @param what the name of what is called, for errors and for threads
   * @param limit the time limit of one call
   * @param threads the number of calls that run at the same time
   */
  public BoundedCalls(String what, Duration limit, int threads) {
    if (threads < 1 || limit.isNegative() || limit.isZero()) {
      throw new IllegalArgumentException(
          "threads and limit must be positive, but are " + threads + " and " + limit);
    }
    this.what = what;
    this.limitNanos = limit.toNanos();
    this.threads = threads;
    this.executor =
        Executors.newCachedThreadPool(
            body -> {
              Thread thread = new Thread(body, "threegate-" + what);
              thread.setDaemon(true);
              return thread;
            });
  }

  /**
   * The result of one call.
   *
   * @param <T> the type of the value
   */
  public sealed interface Result<T> {
    /**
     * The call returned.
     *
     * @param value what it returned
     * @param <T> the type of the value
     */
    record Returned<T>(T value) implements Result<T> {}

    /**
     * The call threw an exception or an error.
     *
     * @param <T> the type of the value
     */
    record Crashed<T>() implements Result<T> {}

    /**
     * The call exceeded the time limit.
     *
     * @param <T> the type of the value
     */
    record TimedOut<T>() implements Result<T> {}
  }

  /** A call that runs or has ended. */
  private final class Call<T> implements Runnable {
    final int index;
    final Callable<T> body;
    final BlockingQueue<Call<T>> done;
    final AtomicBoolean over = new AtomicBoolean();
    private Thread thread;
    volatile Result<T> result = new Result.TimedOut<>();
    long deadline;

    Call(int index, Callable<T> body, BlockingQueue<Call<T>> done) {
      this.index = index;
      this.body = body;
      this.done = done;
    }

    @Override
    public void run() {
      setThread(Thread.currentThread());
      Result<T> found;
      try {
        found = new Result.Returned<>(body.call());
      } catch (Throwable e) {
        // A stack overflow counts as a crash, like any other error.
        found = new Result.Crashed<>();
      }
      setThread(null);
      // Clear an interruption that was meant for this call: the pool reuses the thread.
      Thread.interrupted();
      if (over.compareAndSet(false, true)) {
        result = found;
        done.add(this);
      } else {
        abandoned.decrementAndGet();
      }
    }

    /** Abandons the call, unless it has just ended. */
    boolean abandon() {
      if (!over.compareAndSet(false, true)) {
        return false;
      }
      abandoned.incrementAndGet();
      interrupt();
      return true;
    }

    private synchronized void setThread(Thread running) {
      thread = running;
    }

    /** The thread that runs this call, as long as it runs. */
    private synchronized void interrupt() {
      if (thread != null) {
        thread.interrupt();
      }
    }
  }

  /**
   * Makes calls, several at a time.
   *
   * @param bodies what is called
   * @param <T> the type of the values
   * @return the results, in the order of the calls
   * @throws IllegalStateException when too many abandoned calls still run, or when the calling
   *     thread is interrupted
   */
  public <T> List<Result<T>> all(List<? extends Callable<T>> bodies) {
    List<Result<T>> results = new ArrayList<>();
    BlockingQueue<Call<T>> done = new LinkedBlockingQueue<>();
    List<Call<T>> running = new ArrayList<>();
    while (results.size() < bodies.size() || !running.isEmpty()) {
      while (results.size() < bodies.size() && running.size() < threads) {
        if (abandoned.get() >= MOST_ABANDONED) {
          throw new IllegalStateException(
              MOST_ABANDONED + " calls of the " + what + " have not come back; it hangs");
        }
        Call<T> call = new Call<>(results.size(), bodies.get(results.size()), done);
        call.deadline = System.nanoTime() + limitNanos;
        running.add(call);
        results.add(call.result);
        executor.execute(call);
      }
      for (Call<T> call : finished(running, done)) {
        results.set(call.index, call.result);
        if (call.result instanceof Result.Crashed) {
          crashes.incrementAndGet();
        } else if (call.result instanceof Result.TimedOut) {
          timeouts.incrementAndGet();
        }
      }
    }
    return List.copyOf(results);
  }

  /** Waits until a call ends or exceeds its limit, and collects the calls that have ended. */
  private <T> List<Call<T>> finished(List<Call<T>> running, BlockingQueue<Call<T>> done) {
    List<Call<T>> finished = new ArrayList<>();
    long earliest = running.stream().mapToLong(call -> call.deadline).min().orElseThrow();
    try {
      Call<T> first = done.poll(Math.max(1, earliest - System.nanoTime()), TimeUnit.NANOSECONDS);
      if (first != null) {
        finished.add(first);
      }
    } catch (InterruptedException e) {
      running.forEach(Call::abandon);
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while the " + what + " was called", e);
    }
    done.drainTo(finished);
    running.removeAll(finished);
    for (Iterator<Call<T>> rest = running.iterator(); rest.hasNext(); ) {
      Call<T> call = rest.next();
      if (System.nanoTime() - call.deadline >= 0 && call.abandon()) {
        rest.remove();
        finished.add(call);
      }
    }
    return finished;
  }

  /** {@return the number of calls so far that threw an exception} */
  public long crashes() {
    return crashes.get();
  }

  /** {@return the number of calls so far that exceeded the time limit} */
  public long timeouts() {
    return timeouts.get();
  }

  @Override
  public void close() {
    executor.shutdownNow();
  }
}
