package org.threegate.rl.train;

import java.util.SplittableRandom;

/** An order of examples that is drawn anew once all have had their turn. */
final class Order {
  private final int count;
  private final long seed;
  private long epoch = -1;
  private int[] order = new int[0];

  Order(int count, long seed) {
    this.count = count;
    this.seed = seed;
  }

  /** Everything that is drawn follows from the seed of a run and a number. */
  static long seed(long seed, long number) {
    return new SplittableRandom(seed + 0x9e3779b97f4a7c15L * number).nextLong();
  }

  /** The example at a place, from 0 without an end. */
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
