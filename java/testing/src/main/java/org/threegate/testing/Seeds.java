package org.threegate.testing;

import java.util.Random;

/** The seed of randomised tests: printed, and taken back with {@code -Dthreegate.test.seed=N}. */
public final class Seeds {
  private Seeds() {}

  /** A generator for a test; the seed goes to standard output, with what repeats it. */
  public static Random random(String test) {
    long seed = Long.getLong("threegate.test.seed", System.nanoTime());
    System.out.println(test + ": -Dthreegate.test.seed=" + seed);
    return new Random(seed);
  }
}
