package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.HashSet;
import java.util.Optional;
import java.util.Set;
import org.apache.commons.numbers.fraction.BigFraction;

/**
 * Decides whether an algebraic number is zero. A number that is not zero has a least absolute
 * value, which follows from its formula. Intervals are refined until they exclude zero, or are
 * closer to zero than that.
 *
 * <p>Source of the bound: Burnikel, Funke, Mehlhorn, Schirra, Schmitt: A separation bound for real
 * algebraic expressions (Algorithmica 55, 2009). Each value is a quotient of algebraic integers
 * whose conjugates are at most u and l. With degree D, a value that is not zero is at least
 * 1/(u^(D-1) l).
 */
final class AlgebraicZero {
  private static final int MOST_DIGITS = 1500;
  private static final int FIRST_DIGITS = 40;
  private static final double LOG10 = Math.log(10);

  /** Bounds of the conjugates of numerator and denominator, as natural logarithms. */
  private record Bound(double upper, double lower) {
    static final Bound ONE = new Bound(0, 0);
  }

  private final Set<Formula> roots = new HashSet<>();
  private double degree = 1;
  private BigInteger order = BigInteger.TWO; // of the roots of unity

  private AlgebraicZero() {}

  /**
   * Decides whether a number is zero.
   *
   * @param formula a constant of rational numbers, i, roots of unity, the four operations and
   *     rational powers
   * @return unknown when the formula has other parts, is undefined, or has too small a bound
   */
  static Truth isZero(Formula formula) {
    Optional<BigFraction> exact = formula.exact();
    if (exact.isPresent()) {
      return Truth.of(exact.get().signum() == 0);
    }
    AlgebraicZero bounds = new AlgebraicZero();
    double needed;
    try {
      Bound bound = bounds.of(formula);
      double degree = bounds.degree * totient(bounds.order);
      needed = ((degree - 1) * Math.max(0, bound.upper()) + Math.max(0, bound.lower())) / LOG10;
    } catch (ArithmeticException e) {
      return Truth.UNKNOWN;
    }
    if (needed > MOST_DIGITS) {
      return Truth.UNKNOWN;
    }
    double last = needed + 10;
    for (int digits = FIRST_DIGITS; ; digits *= 2) {
      try {
        ComplexInterval value = new Evaluation(digits, false).value(formula);
        if (value.excludesZero()) {
          return Truth.NO;
        }
        BigDecimal size = value.magnitude();
        if (size.signum() == 0 || (double) size.precision() - size.scale() < -needed - 3) {
          return Truth.YES;
        }
      } catch (ArithmeticException e) {
        // Too wide at this precision.
      }
      if (digits > 2 * last + 40) {
        return Truth.UNKNOWN;
      }
    }
  }

  private static double totient(BigInteger order) {
    int n = order.intValueExact();
    int result = n;
    for (int p = 2, rest = n; rest > 1; p++) {
      if (rest % p == 0) {
        result -= result / p;
        while (rest % p == 0) {
          rest /= p;
        }
      }
    }
    return result;
  }

  private Bound of(Formula formula) {
    if (formula instanceof Formula.Number number) {
      return new Bound(log(number.value().getNumerator()), log(number.value().getDenominator()));
    }
    if (formula instanceof Formula.Constant constant && constant.name().equals("i")) {
      unity(2);
      return Bound.ONE;
    }
    if (formula instanceof Formula.Function function && function.name().equals("unity")) {
      BigFraction part = function.argument().exact().orElseThrow(ArithmeticException::new);
      unity(part.getDenominator().intValueExact());
      return Bound.ONE;
    }
    if (!(formula instanceof Formula.Operation operation)) {
      throw new ArithmeticException("not algebraic");
    }
    Bound a = of(operation.left());
    if (operation.sign() == '^') {
      return power(operation, a);
    }
    Bound b = of(operation.right());
    return switch (operation.sign()) {
      case '*' -> new Bound(a.upper + b.upper, a.lower + b.lower);
      case '/' -> new Bound(a.upper + b.lower, a.lower + b.upper);
      default -> new Bound(logOfSum(a.upper + b.lower, b.upper + a.lower), a.lower + b.lower);
    };
  }

  /** Returns a bound of the logarithm of e^a + e^b. */
  private static double logOfSum(double a, double b) {
    return Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))) + 1e-9;
  }

  private static double log(BigInteger value) {
    return value.signum() == 0 ? 0 : value.abs().bitLength() * Math.log(2);
  }

  private void unity(int half) {
    BigInteger other = BigInteger.valueOf(2L * half);
    order = order.multiply(other).divide(order.gcd(other));
    if (order.bitLength() > 20) {
      throw new ArithmeticException("degree");
    }
  }

  private Bound power(Formula.Operation operation, Bound base) {
    BigFraction exponent = operation.right().exact().orElseThrow(ArithmeticException::new);
    double times = Math.abs(exponent.getNumerator().doubleValue());
    int root = exponent.getDenominator().intValueExact();
    Bound value = base;
    if (root > 1) {
      // The root of u/l is the root of u l^(k-1), over l.
      double k = root;
      value =
          base.upper >= base.lower
              ? new Bound((base.upper + (k - 1) * base.lower) / k, base.lower)
              : new Bound(base.upper, ((k - 1) * base.upper + base.lower) / k);
      if (roots.add(Formula.power(operation.left(), Formula.of(BigFraction.of(1, root))))) {
        degree *= k;
      }
    }
    return exponent.signum() < 0
        ? new Bound(times * value.lower, times * value.upper)
        : new Bound(times * value.upper, times * value.lower);
  }
}
