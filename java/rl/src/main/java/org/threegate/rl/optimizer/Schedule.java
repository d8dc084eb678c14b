package org.threegate.rl.optimizer;

import java.util.function.DoubleUnaryOperator;

/**
 * The learning rate of each step, as a share of the largest: rising in a line, then falling.
 *
 * <pre>{@code
 * double share = Schedule.cosine(100, 1300, 0.1).at(50);
 * }</pre>
 */
@FunctionalInterface
public interface Schedule {
  /**
   * @param step from 0
   */
  double at(long step);

  /** Always 1. */
  static Schedule constant() {
    return step -> 1;
  }

  /** 1 after so many steps, of which the first is not 0. */
  static Schedule constant(long warmUp) {
    return step -> Math.min(1, (step + 1) / (double) Math.max(1, warmUp));
  }

  /** After a warm-up down to {@code floor} at step {@code steps}, in a line. */
  static Schedule linear(long warmUp, long steps, double floor) {
    return falling(warmUp, steps, floor, done -> 1 - done);
  }

  /** The same along half a cosine. */
  static Schedule cosine(long warmUp, long steps, double floor) {
    return falling(warmUp, steps, floor, done -> 0.5 * (1 + Math.cos(Math.PI * done)));
  }

  private static Schedule falling(
      long warmUp, long steps, double floor, DoubleUnaryOperator shape) {
    if (warmUp < 0 || steps <= warmUp || !(floor >= 0 && floor <= 1)) {
      throw new IllegalArgumentException(
          "a warm-up of " + warmUp + " of " + steps + " steps, down to " + floor);
    }
    return step -> {
      if (step < warmUp) {
        return (step + 1) / (double) warmUp;
      }
      double done = Math.min(1, (step - warmUp) / (double) (steps - warmUp));
      return floor + (1 - floor) * shape.applyAsDouble(done);
    };
  }
}
