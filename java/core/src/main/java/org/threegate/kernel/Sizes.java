package org.threegate.kernel;

/** Arithmetic of sizes that refuses results beyond its type instead of wrapping around. */
final class Sizes {
  /** Largest length of an array that every JVM supports. */
  private static final int LONGEST_ARRAY = Integer.MAX_VALUE - 8;

  private Sizes() {}

  /** Returns a product of two sizes. */
  static long product(long first, long second) {
    long high = Math.multiplyHigh(first, second);
    long low = first * second;
    if (high != low >> 63) {
      throw new IllegalArgumentException(first + " x " + second + " is beyond 2^63");
    }
    return low;
  }

  /** Returns a sum of two sizes. */
  static long sum(long first, long second) {
    long sum = first + second;
    if (((first ^ sum) & (second ^ sum)) < 0) {
      throw new IllegalArgumentException(first + " + " + second + " is beyond 2^63");
    }
    return sum;
  }

  /** Returns a number of elements as the length of an array. */
  static int length(long count) {
    if (count < 0 || count > LONGEST_ARRAY) {
      throw new IllegalArgumentException(
          "an array of " + count + " elements; it can have at most " + LONGEST_ARRAY);
    }
    return (int) count;
  }
}
