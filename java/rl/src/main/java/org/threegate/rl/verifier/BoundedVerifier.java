package org.threegate.rl.verifier;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;

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
  private final Scorer verifier;
  private final BoundedCalls calls;

  /**
   * Creates the pool that runs the verifier.
   *
   * @param verifier the reward function to run. It is closed with the pool if it is {@link
   *     AutoCloseable}
   * @param limit the time limit of one call
   * @param threads the number of calls that run at the same time, where the function allows it
   */
  public BoundedVerifier(Scorer verifier, Duration limit, int threads) {
    this.verifier = verifier;
    this.calls =
        new BoundedCalls(
            "verifier", limit, verifier.isConcurrent() ? threads : Math.min(threads, 1));
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

  private static Score score(BoundedCalls.Result<Scores> result) {
    if (result instanceof BoundedCalls.Result.Returned<Scores> returned) {
      return score(returned.value());
    }
    return new Score(
        0, result instanceof BoundedCalls.Result.TimedOut ? Outcome.TIMED_OUT : Outcome.CRASHED);
  }

  private static Score score(Scores scores) {
    return new Score(
        scores.value(),
        Double.isNaN(scores.value()) ? Outcome.MISSING : Outcome.SCORED,
        scores.metrics());
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
    List<Callable<Scores>> bodies =
        requests.stream().map(request -> (Callable<Scores>) () -> scored(request)).toList();
    return calls.all(bodies).stream().map(BoundedVerifier::score).toList();
  }

  private Scores scored(Attempt request) throws Exception {
    Scores scores = verifier.score(request);
    if (Double.isInfinite(scores.value())) {
      throw new ArithmeticException("an infinite score");
    }
    return scores;
  }

  /** {@return the number of calls so far that threw an exception} */
  public long crashes() {
    return calls.crashes();
  }

  /** {@return the number of calls so far that exceeded the time limit} */
  public long timeouts() {
    return calls.timeouts();
  }

  @Override
  public void close() {
    calls.close();
    if (verifier instanceof AutoCloseable resource) {
      try {
        resource.close();
      } catch (Exception e) {
        throw new IllegalStateException("a reward function cannot be closed", e);
      }
    }
  }
}
