package org.threegate.rl.optimizer;

import java.util.function.DoubleUnaryOperator;

/**
 * A learning rate schedule: the factor of the peak learning rate at each step.
 *
 * <pre>{@code
 * double share = Schedule.cosine(100, 1300, 0.1).at(50);
 * }</pre>
 */
@FunctionalInterface
public interface Schedule {
  /**
   * {@return the factor of the peak learning rate}
   *
   * @param step the number of the step, from 0
   */
  double at(long step);

  /** {@return the constant schedule} */
  static Schedule constant() {
    return step -> 1;
  }

  /**
   * {@return a linear warm-up to 1} The first step is not 0, in contrast to transformers.
   *
   * @param warmUp the number of steps of the warm-up; 0 for none
   */
  static Schedule constant(long warmUp) {
    return step -> Math.min(1, (step + 1) / (double) Math.max(1, warmUp));
  }

  /**
   * {@return a warm-up, then a linear decay to {@code floor} at step {@code steps}}
   *
   * @param warmUp the number of steps of the warm-up; 0 for none
   * @param steps the number of steps of the run, more than those of the warm-up
   * @param floor the last factor, from 0 to 1
   */
  static Schedule linear(long warmUp, long steps, double floor) {
    return falling(warmUp, steps, floor, done -> 1 - done);
  }

  /**
   * {@return a warm-up, then a cosine decay to {@code floor} at step {@code steps}}
   *
   * @param warmUp the number of steps of the warm-up; 0 for none
   * @param steps the number of steps of the run, more than those of the warm-up
   * @param floor the last factor, from 0 to 1
   */
  static Schedule cosine(long warmUp, long steps, double floor) {
    return falling(warmUp, steps, floor, done -> 0.5 * (1 + Math.cos(Math.PI * done)));
  }

  private static Schedule falling(
      long warmUp, long steps, double floor, DoubleUnaryOperator shape) {
    if (warmUp < 0 || steps <= warmUp || !(floor >= 0 && floor <= 1)) {
      throw new IllegalArgumentException(
          "invalid schedule: warm-up " + warmUp + ", steps " + steps + ", floor " + floor);
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
