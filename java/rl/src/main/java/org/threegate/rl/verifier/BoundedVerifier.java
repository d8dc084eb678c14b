package org.threegate.rl.verifier;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Calls a verifier in threads of its own and for so long only: one that throws, or does not come
 * back, has scored 0, and is counted.
 *
 * <pre>{@code
 * try (BoundedVerifier verifier =
 *     new BoundedVerifier(Verifiers.MATHEMATICAL, Duration.ofSeconds(2), 4)) {
 *   List<BoundedVerifier.Score> scores =
 *       verifier.scoreAll(List.of(new BoundedVerifier.Request("\\boxed{2}", "2")));
 *   System.out.println(verifier.crashes() + " crashed");
 * }
 * }</pre>
 */
public final class BoundedVerifier implements AutoCloseable {
  /** Threads that do not come back, beyond which nothing is scored any more. */
  static final int MOST_ABANDONED = 64;

  private final Verifier verifier;
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
   * @param limit of one call
   * @param threads that score at a time
   */
  public BoundedVerifier(Verifier verifier, Duration limit, int threads) {
    if (threads < 1 || limit.isNegative() || limit.isZero()) {
      throw new IllegalArgumentException(threads + " threads for " + limit + " each");
    }
    this.verifier = verifier;
    this.limitNanos = limit.toNanos();
    this.threads = threads;
  }

  /** What is to be scored. */
  public record Request(String response, String answer) {}

  /** How a call ended. */
  public enum Outcome {
    SCORED,
    /** It threw something, or its score was no number. */
    CRASHED,
    TIMED_OUT
  }

  /**
   * @param value 0 unless it was scored
   */
  public record Score(double value, Outcome outcome) {}

  /** A call under way. */
  private final class Call implements Runnable {
    final int index;
    final Request request;
    final BlockingQueue<Call> done;
    final AtomicBoolean over = new AtomicBoolean();
    private Thread thread;
    volatile Score score = new Score(0, Outcome.TIMED_OUT);
    long deadline;

    Call(int index, Request request, BlockingQueue<Call> done) {
      this.index = index;
      this.request = request;
      this.done = done;
    }

    @Override
    public void run() {
      setThread(Thread.currentThread());
      Score found;
      try {
        double value = verifier.score(request.response(), request.answer());
        found =
            Double.isFinite(value)
                ? new Score(value, Outcome.SCORED)
                : new Score(0, Outcome.CRASHED);
      } catch (Throwable e) {
        // A stack that overflows is a crash like any other.
        found = new Score(0, Outcome.CRASHED);
      }
      setThread(null);
      // An interruption was meant for this call, and its thread goes on to another one.
      Thread.interrupted();
      if (over.compareAndSet(false, true)) {
        score = found;
        done.add(this);
      } else {
        abandoned.decrementAndGet();
      }
    }

    /** Gives it up, unless it has just come back. */
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

    /** The thread of this call, for as long as it has one. */
    private synchronized void interrupt() {
      if (thread != null) {
        thread.interrupt();
      }
    }
  }

  /**
   * Scores, several at a time.
   *
   * @return in the order of the requests
   * @throws IllegalStateException when too many calls never came back, or the thread is interrupted
   */
  public List<Score> scoreAll(List<Request> requests) {
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
          case SCORED -> {}
        }
      }
    }
    return List.of(scores);
  }

  /** Waits for one to come back or to run out of time, and takes those that did. */
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

  /** Calls that threw, so far. */
  public long crashes() {
    return crashes.get();
  }

  /** Calls that were given up, so far. */
  public long timeouts() {
    return timeouts.get();
  }

  @Override
  public void close() {
    executor.shutdownNow();
  }
}
