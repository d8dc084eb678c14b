package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import org.apache.commons.numbers.fraction.BigFraction;

/**
 * Decides whether two formulas are equal.
 *
 * <ul>
 *   <li>Different: intervals around their values are disjoint, at some values of the variables.
 *   <li>Equal: their difference has the {@linkplain NormalForm normal form} zero, with coefficients
 *       that are {@linkplain AlgebraicZero proved} to be zero.
 *   <li>Equal, too: both are algebraic functions, and are exactly equal at random points. For each
 *       point the chance of a false equality is at most the degree of the functions times 2^-30.
 *   <li>Unknown: neither is shown.
 * </ul>
 *
 * Formulas with variables are equal if they are where both are defined. Variables are real.
 */
final class Equality {
  private static final int FIRST_DIGITS = 25;
  private static final int[] MORE_DIGITS = {60, 200, 800};
  private static final int MOST_VARIABLES = 12;
  private static final int POINTS = 14;
  private static final int LEAST_POINTS = 3;

  private Equality() {}

  static Truth equal(Formula a, Formula b) {
    Optional<BigFraction> one = a.exact();
    Optional<BigFraction> other = b.exact();
    if (one.isPresent() && other.isPresent()) {
      return Truth.of(one.get().compareTo(other.get()) == 0);
    }
    if (a.mentions("infinity") || b.mentions("infinity")) {
      return infinities(a, b);
    }
    if (a.equals(b)) {
      return isDefined(a) ? Truth.YES : Truth.UNKNOWN;
    }
    Set<String> names = new TreeSet<>(a.variables());
    names.addAll(b.variables());
    if (names.size() > MOST_VARIABLES) {
      return Truth.UNKNOWN;
    }
    return names.isEmpty() ? constants(a, b) : functions(a, b, names);
  }

  /** Returns whether a formula has a value, for some values of the variables. */
  static boolean isDefined(Formula formula) {
    Set<String> names = formula.variables();
    boolean real = !names.isEmpty() && !formula.mentions("i");
    return points(formula, formula, names, false).stream()
        .anyMatch(point -> value(at(formula, point), FIRST_DIGITS, real).isPresent());
  }

  /** Returns the sign of a real constant: -1, 0 or 1. It is empty when it cannot be decided. */
  static Optional<Integer> sign(Formula formula) {
    Optional<BigFraction> exact = formula.exact();
    if (exact.isPresent()) {
      return exact.map(BigFraction::signum);
    }
    Optional<Integer> infinite = infinity(formula);
    if (infinite.isPresent()) {
      return infinite;
    }
    if (formula.mentions("infinity") || !formula.variables().isEmpty()) {
      return Optional.empty();
    }
    Optional<ComplexInterval> value = value(formula, FIRST_DIGITS, false);
    for (int i = 0; i <= MORE_DIGITS.length; i++) {
      if (value.isPresent() && value.get().isReal() && value.get().excludesZero()) {
        return Optional.of(value.get().re().isPositive() ? 1 : -1);
      }
      if (i == 0 && equal(formula, Formula.ZERO) == Truth.YES) {
        return Optional.of(0);
      }
      if (i < MORE_DIGITS.length) {
        value = value(formula, MORE_DIGITS[i], false);
      }
    }
    return Optional.empty();
  }

  /** Returns 1 for infinity, -1 for minus infinity, and nothing for other formulas. */
  static Optional<Integer> infinity(Formula formula) {
    if (formula.equals(Formula.INFINITY)) {
      return Optional.of(1);
    }
    if (formula instanceof Formula.Operation operation
        && "+-".indexOf(operation.sign()) >= 0
        && operation.left().equals(Formula.ZERO)) {
      return infinity(operation.right()).map(sign -> operation.sign() == '-' ? -sign : sign);
    }
    return Optional.empty();
  }

  /**
   * Returns the quotient of two formulas at a point, which is a constant. It is empty when there is
   * no point where both are defined and the second is not zero.
   */
  static Optional<Formula> quotientAtPoint(Formula a, Formula b) {
    Set<String> names = new TreeSet<>(a.variables());
    names.addAll(b.variables());
    if (names.size() > MOST_VARIABLES) {
      return Optional.empty();
    }
    boolean real = !a.mentions("i") && !b.mentions("i");
    for (Map<String, BigFraction> point : points(a, b, names, false)) {
      Formula one = at(a, point);
      Formula other = at(b, point);
      Optional<ComplexInterval> below = value(other, FIRST_DIGITS, real);
      if (below.isPresent()
          && below.get().excludesZero()
          && value(one, FIRST_DIGITS, real).isPresent()) {
        return Optional.of(Formula.quotient(one, other));
      }
    }
    return Optional.empty();
  }

  private static Truth infinities(Formula a, Formula b) {
    Optional<Integer> one = infinity(a);
    Optional<Integer> other = infinity(b);
    if (one.isPresent() && other.isPresent()) {
      return Truth.of(one.equals(other));
    }
    Formula rest = one.isPresent() ? b : a;
    boolean plain = one.isPresent() || other.isPresent();
    return plain && !rest.mentions("infinity") && isDefined(rest) ? Truth.NO : Truth.UNKNOWN;
  }

  private static Optional<ComplexInterval> value(Formula formula, int digits, boolean realOnly) {
    try {
      return Optional.of(new Evaluation(digits, realOnly).value(formula));
    } catch (ArithmeticException e) {
      return Optional.empty();
    }
  }

  private static Optional<NormalForm> normalForm(Formula formula) {
    try {
      return Optional.of(NormalForm.of(formula));
    } catch (ArithmeticException e) {
      return Optional.empty();
    }
  }

  private static Truth zero(Formula formula) {
    try {
      return NormalForm.of(formula).isZero();
    } catch (ArithmeticException e) {
      return Truth.UNKNOWN;
    }
  }

  private static boolean isInverse(Formula formula) {
    return formula instanceof Formula.Function function && function.name().startsWith("arc");
  }

  private static Truth angle(Formula formula) {
    try {
      return NormalForm.of(formula).isZeroAngle();
    } catch (ArithmeticException e) {
      return Truth.UNKNOWN;
    }
  }

  /** Replaces variables by powers, so that their roots of different degrees become powers. */
  private static Formula withoutRoots(Formula formula) {
    BigInteger[] degree = {BigInteger.ONE};
    Set<String> rooted = new TreeSet<>();
    formula.anyPart(
        part -> {
          if (part instanceof Formula.Operation operation
              && operation.sign() == '^'
              && operation.left() instanceof Formula.Variable variable) {
            BigInteger below =
                operation.right().exact().map(BigFraction::getDenominator).orElse(BigInteger.ONE);
            degree[0] = degree[0].multiply(below).divide(degree[0].gcd(below));
            if (!below.equals(BigInteger.ONE)) {
              rooted.add(variable.name());
            }
          }
          return false;
        });
    return degree[0].equals(BigInteger.ONE) || degree[0].bitLength() > 8
        ? formula
        : formula.withLeaves(
            leaf ->
                leaf instanceof Formula.Variable variable && rooted.contains(variable.name())
                    ? Formula.power(leaf, Formula.of(degree[0].longValue()))
                    : leaf);
  }

  private static Truth constants(Formula a, Formula b) {
    if (areSeparate(a, b, FIRST_DIGITS, false)) {
      return Truth.NO;
    }
    Formula difference = Formula.difference(a, b);
    Truth algebraic = AlgebraicZero.isZero(difference);
    if (algebraic != Truth.UNKNOWN) {
      return algebraic; // with a value, so that both are defined
    }
    if (zero(difference) == Truth.YES && isDefined(a) && isDefined(b)) {
      return Truth.YES;
    }
    if (difference.anyPart(Equality::isInverse) && angle(difference) == Truth.YES) {
      return Truth.YES;
    }
    for (int digits : MORE_DIGITS) {
      Optional<ComplexInterval> one = value(a, digits, false);
      Optional<ComplexInterval> other = one.isEmpty() ? one : value(b, digits, false);
      if (other.isEmpty()) {
        break; // undefined, or out of range
      }
      if (areDisjoint(one.get(), other.get())) {
        return Truth.NO;
      }
    }
    return Truth.UNKNOWN;
  }

  private static boolean areSeparate(Formula a, Formula b, int digits, boolean realOnly) {
    Optional<ComplexInterval> one = value(a, digits, realOnly);
    Optional<ComplexInterval> other = one.isEmpty() ? one : value(b, digits, realOnly);
    return other.isPresent() && areDisjoint(one.get(), other.get());
  }

  private static boolean areDisjoint(ComplexInterval a, ComplexInterval b) {
    return areDisjoint(a.re(), b.re()) || areDisjoint(a.im(), b.im());
  }

  private static boolean areDisjoint(Interval a, Interval b) {
    return a.high().compareTo(b.low()) < 0 || b.high().compareTo(a.low()) < 0;
  }

  private static Truth functions(Formula a, Formula b, Set<String> names) {
    boolean real = !a.mentions("i") && !b.mentions("i");
    int defined = 0;
    for (Map<String, BigFraction> point : points(a, b, names, false)) {
      Formula one = at(a, point);
      Formula other = at(b, point);
      Optional<ComplexInterval> left = value(one, FIRST_DIGITS, real);
      Optional<ComplexInterval> right = left.isEmpty() ? left : value(other, FIRST_DIGITS, real);
      if (right.isPresent()) {
        defined++;
        if (areDisjoint(left.get(), right.get())
            || !overlapClosely(left.get(), right.get()) && areSeparate(one, other, 200, real)) {
          return Truth.NO;
        }
      }
    }
    if (defined == 0) {
      return Truth.UNKNOWN;
    }
    Formula difference = Formula.difference(a, b);
    Optional<NormalForm> form = normalForm(difference);
    if (form.isPresent() && form.get().isZero() == Truth.YES
        || zero(withoutRoots(difference)) == Truth.YES) {
      return Truth.YES;
    }
    boolean algebraic = isAlgebraic(a) && isAlgebraic(b);
    int equal = 0;
    boolean open = false;
    for (Map<String, BigFraction> point : points(a, b, names, true)) {
      Formula one = at(a, point);
      Formula other = at(b, point);
      if (value(one, FIRST_DIGITS, real).isEmpty() || value(other, FIRST_DIGITS, real).isEmpty()) {
        continue;
      }
      if (areSeparate(one, other, 60, real)) {
        return Truth.NO;
      }
      if (!algebraic || open) {
        continue;
      }
      Truth same = constants(one, other);
      if (same == Truth.NO) {
        return Truth.NO;
      }
      open |= same == Truth.UNKNOWN;
      equal += same == Truth.YES ? 1 : 0;
    }
    return algebraic && !open && equal >= LEAST_POINTS ? Truth.YES : Truth.UNKNOWN;
  }

  /** Returns whether both intervals are narrow, so that more digits are not needed yet. */
  private static boolean overlapClosely(ComplexInterval a, ComplexInterval b) {
    return isNarrow(a.re()) && isNarrow(a.im()) && isNarrow(b.re()) && isNarrow(b.im());
  }

  private static boolean isNarrow(Interval interval) {
    return interval
            .high()
            .subtract(interval.low(), MathContext.DECIMAL32)
            .scaleByPowerOfTen(12)
            .compareTo(interval.magnitude().max(BigDecimal.valueOf(1e-6)))
        < 0;
  }

  /** Returns whether variables occur only in sums, products, quotients, roots and abs. */
  private static boolean isAlgebraic(Formula formula) {
    return !formula.anyPart(
        part -> {
          if (part instanceof Formula.Function function) {
            return !function.name().equals("abs") && !function.argument().variables().isEmpty();
          }
          return part instanceof Formula.Operation operation
              && operation.sign() == '^'
              && operation
                  .right()
                  .exact()
                  .filter(exponent -> exponent.getDenominator().bitLength() <= 5)
                  .isEmpty();
        });
  }

  private static Formula at(Formula formula, Map<String, BigFraction> point) {
    return point.isEmpty()
        ? formula
        : formula.withLeaves(
            leaf ->
                leaf instanceof Formula.Variable variable
                    ? Formula.of(point.get(variable.name()))
                    : leaf);
  }

  /**
   * Returns values of the variables. They depend on the formulas only, so that results repeat. The
   * first are of moderate size: positive, negative, mixed, small and whole.
   */
  private static List<Map<String, BigFraction>> points(
      Formula a, Formula b, Set<String> names, boolean fine) {
    if (names.isEmpty()) {
      return List.of(Map.of());
    }
    SplittableRandom random =
        new SplittableRandom(31L * a.toString().hashCode() + b.toString().hashCode());
    List<Map<String, BigFraction>> points = new ArrayList<>();
    for (int i = 0; i < POINTS; i++) {
      Map<String, BigFraction> point = new HashMap<>();
      for (String name : names) {
        int sign = i % 4 == 0 || i % 4 == 3 ? 1 : i % 4 == 1 ? -1 : random.nextInt(2) * 2 - 1;
        BigFraction size =
            switch (i % 7) {
              case 3, 4 -> BigFraction.of(random.nextInt(2, fine ? 1 << 30 : 13));
              case 5, 6 -> BigFraction.of(random.nextInt(1, 1 << 30), 1 << 30);
              default ->
                  fine
                      ? BigFraction.of(random.nextInt(1 << 20, 1 << 30), 1 << 16)
                      : BigFraction.of(random.nextInt(1 << 16, 1 << 19), 1 << 16);
            };
        boolean natural = i % 7 == 3;
        point.put(name, natural || sign > 0 ? size : size.negate());
      }
      points.add(point);
    }
    return points;
  }
}
