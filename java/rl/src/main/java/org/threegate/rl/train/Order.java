package org.threegate.rl.train;

import java.util.SplittableRandom;

/** A random order of examples. It is shuffled again after each pass over all of them. */
final class Order {
  private final int count;
  private final long seed;
  private long epoch = -1;
  private int[] order = new int[0];

  Order(int count, long seed) {
    this.count = count;
    this.seed = seed;
  }

  /** Derives a seed from the seed of the run and a number. */
  static long seed(long seed, long number) {
    return new SplittableRandom(seed + 0x9e3779b97f4a7c15L * number).nextLong();
  }

  /** Returns the index of the example at a position of the endless order, from 0. */
  int at(long place) {
    if (place / count != epoch) {
      epoch = place / count;
      SplittableRandom random = new SplittableRandom(seed(seed, -2 * epoch - 2));
      order = new int[count];
      for (int i = 0; i < count; i++) {
        int j = random.nextInt(i + 1);
        order[i] = order[j];
        order[j] = i;
      }
    }
    return order[(int) (place % count)];
  }
}
