package org.threegate.testing;

import java.util.Random;

/** Seeds of randomized tests. A seed is printed; {@code -Dthreegate.test.seed=N} repeats a test. */
public final class Seeds {
  private Seeds() {}

  /** Returns a random generator for a test, and prints the option that repeats it. */
  public static Random random(String test) {
    long seed = Long.getLong("threegate.test.seed", System.nanoTime());
    System.out.println(test + ": -Dthreegate.test.seed=" + seed);
    return new Random(seed);
  }
}
