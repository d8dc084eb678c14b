package org.threegate.rl.verifier;

/**
 * A reward function that sees the whole attempt. {@link Verifier} is the one that only needs a
 * response and an answer. Training calls it through a {@link BoundedVerifier}, which handles
 * exceptions and time limits, and closes it when it is {@link AutoCloseable}.
 *
 * <pre>{@code
 * Scorer brief = attempt -> Scores.of(attempt.tokens().length < 100 ? 1 : 0);
 * }</pre>
 */
@FunctionalInterface
public interface Scorer {
  /**
   * Scores an attempt.
   *
   * @param attempt a completion of a problem
   * @return the score, or {@link Scores#MISSING}
   * @throws Exception when the attempt cannot be scored. It then counts as a crash and scores 0
   */
  Scores score(Attempt attempt) throws Exception;

  /** {@return whether several threads may call {@link #score} at the same time} */
  default boolean isConcurrent() {
    return true;
  }
}
