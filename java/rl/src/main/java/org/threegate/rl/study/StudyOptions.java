package org.threegate.rl.study;

/**
 * The size of a study.
 *
 * @param quick whether to do fewer runs, on fewer problems
 * @param steps the number of steps of reinforcement learning. Supervised fine-tuning at its usual
 *     rate takes three times as many
 * @param seed the seed of all randomness
 */
public record StudyOptions(boolean quick, long steps, long seed) {
  private static final long STEPS = 100;
  private static final long QUICK_STEPS = 32;

  /**
   * Validates the size.
   *
   * @throws IllegalArgumentException when there is no step
   */
  public StudyOptions {
    if (steps < 1) {
      throw new IllegalArgumentException("steps must be 1 or more, not " + steps);
    }
  }

  /**
   * {@return options with the number of steps that the claims need}
   *
   * @param quick whether to do fewer runs, on fewer problems
   * @param seed the seed of all randomness
   */
  public static StudyOptions of(boolean quick, long seed) {
    return new StudyOptions(quick, quick ? QUICK_STEPS : STEPS, seed);
  }

  /** Returns the number of held-out problems. */
  int problems() {
    return quick ? 400 : Integer.MAX_VALUE;
  }

  /** Returns the number of texts on which curvature and divergence are measured. */
  int texts() {
    return quick ? 48 : 128;
  }
}
