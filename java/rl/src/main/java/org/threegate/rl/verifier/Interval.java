package org.threegate.rl.verifier;

import java.math.BigDecimal;

/** All real numbers from {@code low} to {@code high}, both included. */
record Interval(BigDecimal low, BigDecimal high) {
  static final Interval ZERO = new Interval(BigDecimal.ZERO, BigDecimal.ZERO);
  static final Interval ONE = new Interval(BigDecimal.ONE, BigDecimal.ONE);

  static Interval of(BigDecimal value) {
    return new Interval(value, value);
  }

  boolean isZero() {
    return low.signum() == 0 && high.signum() == 0;
  }

  boolean isPositive() {
    return low.signum() > 0;
  }

  boolean isNegative() {
    return high.signum() < 0;
  }

  boolean excludesZero() {
    return isPositive() || isNegative();
  }

  Interval negate() {
    return new Interval(high.negate(), low.negate());
  }

  /** Returns the largest absolute value. */
  BigDecimal magnitude() {
    return low.abs().max(high.abs());
  }

  Interval hull(Interval other) {
    return new Interval(low.min(other.low), high.max(other.high));
  }

  Interval absolute() {
    if (low.signum() >= 0) {
      return this;
    }
    return high.signum() <= 0 ? negate() : new Interval(BigDecimal.ZERO, magnitude());
  }
}
