package org.threegate.checkpoint.weight;

import java.util.List;

/** Shapes of tensors as matrices. */
final class Shapes {
  private Shapes() {}

  /** Returns the rows: all dimensions but the last, or the first one of four or more. */
  static long rows(List<Long> shape) {
    return switch (shape.size()) {
      case 0, 1 -> 1;
      case 2 -> shape.get(0);
      case 3 -> Math.multiplyExact(shape.get(0), shape.get(1));
      default -> shape.get(0);
    };
  }

  /** Returns the columns: the last dimension, or all but the first one of four or more. */
  static long columns(List<Long> shape) {
    int first = shape.size() > 3 ? 1 : Math.max(0, shape.size() - 1);
    return shape.subList(first, shape.size()).stream().reduce(1L, Math::multiplyExact);
  }

  /** Returns the quotient, rounded up. */
  static long quotient(long a, long b) {
    return a / b + (a % b == 0 ? 0 : 1);
  }
}
