package org.threegate.rl.study;

/**
 * How large a study is.
 *
 * @param quick fewer runs, on fewer problems
 * @param steps of reinforcement; supervision at its usual rate takes three times as many
 * @param seed of everything that is drawn
 */
public record StudyOptions(boolean quick, long steps, long seed) {
  private static final long STEPS = 100;
  private static final long QUICK_STEPS = 32;

  public StudyOptions {
    if (steps < 1) {
      throw new IllegalArgumentException(steps + " steps; 1 at least");
    }
  }

  /** With as many steps as the claims take. */
  public static StudyOptions of(boolean quick, long seed) {
    return new StudyOptions(quick, quick ? QUICK_STEPS : STEPS, seed);
  }

  /** Held-out problems. */
  int problems() {
    return quick ? 400 : Integer.MAX_VALUE;
  }

  /** Texts on which curvature and divergence are measured. */
  int texts() {
    return quick ? 48 : 128;
  }
}
