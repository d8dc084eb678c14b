package org.threegate.rl.verifier;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Runs a verifier with a time limit. A call that throws an exception or exceeds the limit scores 0
 * and is counted.
 *
 * <pre>{@code
 * try (BoundedVerifier verifier =
 *     new BoundedVerifier(Verifiers.MATHEMATICAL, Duration.ofSeconds(2), 4)) {
 *   List<BoundedVerifier.Score> scores =
 *       verifier.scoreAll(List.of(new Attempt("\\boxed{2}", "2")));
 *   System.out.println(verifier.crashes() + " crashed");
 * }
 * }</pre>
 */
public final class BoundedVerifier implements AutoCloseable {
  /** Abandoned calls that still run, beyond which {@link #scoreAll} fails. */
  static final int MOST_ABANDONED = 64;

  private final Scorer verifier;
  private final long limitNanos;
  private final int threads;
  private final ExecutorService executor =
      Executors.newCachedThreadPool(
          body -> {
            Thread thread = new Thread(body, "threegate-verifier");
            thread.setDaemon(true);
            return thread;
          });
  private final AtomicInteger abandoned = new AtomicInteger();
  private final AtomicLong crashes = new AtomicLong();
  private final AtomicLong timeouts = new AtomicLong();

  /**
   * Creates the pool that runs the verifier.
   *
   * @param verifier the reward function to run. It is closed with the pool if it is {@link
   *     AutoCloseable}
   * @param limit the time limit of one call
   * @param threads the number of calls that run at the same time, where the function allows it
   */
  public BoundedVerifier(Scorer verifier, Duration limit, int threads) {
    if (threads < 1 || limit.isNegative() || limit.isZero()) {
      throw new IllegalArgumentException(
          "threads and limit must be positive, but are " + threads + " and " + limit);
    }
    this.verifier = verifier;
    this.limitNanos = limit.toNanos();
    this.threads = verifier.isConcurrent() ? threads : 1;
  }

  /**
   * Creates the pool that runs a verifier of responses and answers.
   *
   * @param verifier the verifier to run, as above
   * @param limit the time limit of one call
   * @param threads the number of calls that run at the same time
   */
  public BoundedVerifier(Verifier verifier, Duration limit, int threads) {
    this((Scorer) verifier, limit, threads);
  }

  /** How a call ended. */
  public enum Outcome {
    /** The verifier returned a finite score. */
    SCORED,
    /** The verifier returned no score, which is NaN. It counts nowhere. */
    MISSING,
    /** The verifier threw an exception, or returned an infinite score. */
    CRASHED,
    /** The call exceeded the time limit. */
    TIMED_OUT
  }

  /**
   * The result of one call.
   *
   * @param value the score; NaN if it is missing, and 0 if the call failed
   * @param outcome how the call ended
   * @param metrics other values that the function returned, by name
   */
  public record Score(double value, Outcome outcome, Map<String, Double> metrics) {
    /**
     * A result without metrics.
     *
     * @param value the score; NaN if it is missing, and 0 if the call failed
     * @param outcome how the call ended
     */
    public Score(double value, Outcome outcome) {
      this(value, outcome, Map.of());
    }

    /** {@return whether the call failed: it crashed or took too long} */
    public boolean failed() {
      return outcome == Outcome.CRASHED || outcome == Outcome.TIMED_OUT;
    }
  }

  private static Score score(Scores scores) {
    if (Double.isInfinite(scores.value())) {
      return new Score(0, Outcome.CRASHED);
    }
    return new Score(
        scores.value(),
        Double.isNaN(scores.value()) ? Outcome.MISSING : Outcome.SCORED,
        scores.metrics());
  }

  /** A call that runs or has ended. */
  private final class Call implements Runnable {
    final int index;
    final Attempt request;
    final BlockingQueue<Call> done;
    final AtomicBoolean over = new AtomicBoolean();
    private Thread thread;
    volatile Score score = new Score(0, Outcome.TIMED_OUT);
    long deadline;

    Call(int index, Attempt request, BlockingQueue<Call> done) {
      this.index = index;
      this.request = request;
      this.done = done;
    }

    @Override
    public void run() {
      setThread(Thread.currentThread());
      Score found;
      try {
        found = score(verifier.score(request));
      } catch (Throwable e) {
        // A stack overflow counts as a crash, like any other error.
        found = new Score(0, Outcome.CRASHED);
      }
      setThread(null);
      // Clear an interruption that was meant for this call: the pool reuses the thread.
      Thread.interrupted();
      if (over.compareAndSet(false, true)) {
        score = found;
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
   * Scores responses, several at a time.
   *
   * @param requests the responses to score
   * @return the scores, in the order of the requests
   * @throws IllegalStateException when too many abandoned calls still run, or when the calling
   *     thread is interrupted
   */
  public List<Score> scoreAll(List<Attempt> requests) {
    Score[] scores = new Score[requests.size()];
    BlockingQueue<Call> done = new LinkedBlockingQueue<>();
    List<Call> running = new ArrayList<>();
    int next = 0;
    while (next < requests.size() || !running.isEmpty()) {
      while (next < requests.size() && running.size() < threads) {
        if (abandoned.get() >= MOST_ABANDONED) {
          throw new IllegalStateException(
              MOST_ABANDONED + " calls of the verifier have not come back; it hangs");
        }
        Call call = new Call(next, requests.get(next), done);
        call.deadline = System.nanoTime() + limitNanos;
        running.add(call);
        executor.execute(call);
        next++;
      }
      for (Call call : finished(running, done)) {
        scores[call.index] = call.score;
        switch (call.score.outcome()) {
          case CRASHED -> crashes.incrementAndGet();
          case TIMED_OUT -> timeouts.incrementAndGet();
          case SCORED, MISSING -> {}
        }
      }
    }
    return List.of(scores);
  }

  /** Waits until a call ends or exceeds its limit, and collects the calls that have ended. */
  private static List<Call> finished(List<Call> running, BlockingQueue<Call> done) {
    List<Call> finished = new ArrayList<>();
    long earliest = running.stream().mapToLong(call -> call.deadline).min().orElseThrow();
    try {
      Call first = done.poll(Math.max(1, earliest - System.nanoTime()), TimeUnit.NANOSECONDS);
      if (first != null) {
        finished.add(first);
      }
    } catch (InterruptedException e) {
      running.forEach(Call::abandon);
      Thread.currentThread().interrupt();
      throw new IllegalStateException("interrupted while responses were verified", e);
    }
    done.drainTo(finished);
    running.removeAll(finished);
    for (Iterator<Call> rest = running.iterator(); rest.hasNext(); ) {
      Call call = rest.next();
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
    if (verifier instanceof AutoCloseable resource) {
      try {
        resource.close();
      } catch (Exception e) {
        throw new IllegalStateException("a reward function cannot be closed", e);
      }
    }
  }
}
