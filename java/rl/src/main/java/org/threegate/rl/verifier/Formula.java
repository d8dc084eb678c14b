package org.threegate.rl.verifier;

import java.math.BigInteger;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Predicate;
import java.util.function.UnaryOperator;
import org.apache.commons.numbers.fraction.BigFraction;

/** The syntax tree of a formula. */
sealed interface Formula {
  /** A rational number. */
  record Number(BigFraction value) implements Formula {}

  /** A constant: {@code pi}, {@code e}, {@code i}, {@code infinity} or {@code degree}. */
  record Constant(String name) implements Formula {}

  record Variable(String name) implements Formula {}

  /** A binary operation: {@code + - * / ^}. */
  record Operation(char sign, Formula left, Formula right) implements Formula {}

  /**
   * A function of one argument. Roots are powers. {@code unity} of 1/n is exp(i pi / n); only the
   * program writes it.
   */
  record Function(String name, Formula argument) implements Formula {}

  int MOST_BITS = 1 << 14; // of a numerator or denominator
  int LARGEST_EXPONENT = 1 << 12;
  int LARGEST_FACTORIAL = 1000;

  Formula ZERO = of(0);
  Formula ONE = of(1);
  Formula INFINITY = new Constant("infinity");
  Formula PI = new Constant("pi");

  static Formula of(long value) {
    return new Number(BigFraction.of(value));
  }

  static Formula of(BigFraction value) {
    return new Number(value);
  }

  static Formula sum(Formula a, Formula b) {
    return new Operation('+', a, b);
  }

  static Formula difference(Formula a, Formula b) {
    return new Operation('-', a, b);
  }

  static Formula product(Formula a, Formula b) {
    return new Operation('*', a, b);
  }

  static Formula quotient(Formula a, Formula b) {
    return new Operation('/', a, b);
  }

  static Formula power(Formula a, Formula b) {
    return new Operation('^', a, b);
  }

  static Formula negative(Formula a) {
    return new Operation('-', ZERO, a);
  }

  static boolean isWhole(BigFraction value) {
    return value.getDenominator().equals(BigInteger.ONE);
  }

  /** Returns the exact value. It is empty when the value is not rational, or is too large. */
  default Optional<BigFraction> exact() {
    if (this instanceof Number number) {
      return Optional.of(number.value());
    }
    if (this instanceof Operation operation) {
      Optional<BigFraction> left = operation.left().exact();
      Optional<BigFraction> right = left.isEmpty() ? left : operation.right().exact();
      return right.isPresent()
          ? combined(operation.sign(), left.get(), right.get()).filter(Formula::isModest)
          : Optional.empty();
    }
    if (this instanceof Function function) {
      return function.argument().exact().flatMap(value -> applied(function.name(), value));
    }
    return Optional.empty();
  }

  private static boolean isModest(BigFraction value) {
    return value.getNumerator().bitLength() < MOST_BITS
        && value.getDenominator().bitLength() < MOST_BITS;
  }

  private static Optional<BigFraction> combined(char sign, BigFraction left, BigFraction right) {
    return switch (sign) {
      case '+' -> Optional.of(left.add(right));
      case '-' -> Optional.of(left.subtract(right));
      case '*' -> Optional.of(left.multiply(right));
      case '/' -> right.signum() == 0 ? Optional.empty() : Optional.of(left.divide(right));
      default -> rationalPower(left, right);
    };
  }

  private static Optional<BigFraction> rationalPower(BigFraction base, BigFraction exponent) {
    if (exponent.getNumerator().bitLength() > 31 || exponent.getDenominator().bitLength() > 8) {
      boolean trivial = base.equals(BigFraction.ONE) && isWhole(exponent);
      return trivial ? Optional.of(base) : Optional.empty();
    }
    Optional<BigFraction> root = root(base, exponent.getDenominator().intValue());
    if (root.isEmpty()) {
      return root;
    }
    BigFraction value = root.get();
    long times = Math.abs(exponent.getNumerator().longValue());
    boolean zero = value.signum() == 0;
    if (zero) {
      return exponent.signum() > 0 ? Optional.of(value) : Optional.empty();
    }
    boolean unit = value.abs().equals(BigFraction.ONE);
    long bits = Math.max(value.getNumerator().bitLength(), value.getDenominator().bitLength());
    if (!unit && (times > LARGEST_EXPONENT || bits * times > MOST_BITS)) {
      return Optional.empty();
    }
    BigFraction power = unit && times % 2 == 0 ? BigFraction.ONE : value;
    if (!unit) {
      power = value.pow((int) times);
    }
    return Optional.of(exponent.signum() < 0 ? power.reciprocal() : power);
  }

  private static Optional<BigFraction> root(BigFraction value, int degree) {
    if (degree == 1) {
      return Optional.of(value);
    }
    if (value.signum() < 0) {
      return degree % 2 == 0
          ? Optional.empty()
          : root(value.negate(), degree).map(BigFraction::negate);
    }
    BigInteger numerator = RealArithmetic.integerRoot(value.getNumerator(), degree);
    BigInteger denominator = RealArithmetic.integerRoot(value.getDenominator(), degree);
    return numerator.pow(degree).equals(value.getNumerator())
            && denominator.pow(degree).equals(value.getDenominator())
        ? Optional.of(BigFraction.of(numerator, denominator))
        : Optional.empty();
  }

  private static Optional<BigFraction> applied(String name, BigFraction value) {
    BigInteger[] parts = value.getNumerator().divideAndRemainder(value.getDenominator());
    switch (name) {
      case "abs":
        return Optional.of(value.abs());
      case "floor":
        return Optional.of(
            BigFraction.of(parts[1].signum() < 0 ? parts[0].subtract(BigInteger.ONE) : parts[0]));
      case "ceil":
        return Optional.of(
            BigFraction.of(parts[1].signum() > 0 ? parts[0].add(BigInteger.ONE) : parts[0]));
      case "!":
        if (!isWhole(value)
            || value.signum() < 0
            || value.compareTo(BigFraction.of(LARGEST_FACTORIAL)) > 0) {
          return Optional.empty();
        }
        BigInteger product = BigInteger.ONE;
        for (int i = 2; i <= value.intValue(); i++) {
          product = product.multiply(BigInteger.valueOf(i));
        }
        return Optional.of(BigFraction.of(product));
      default:
        return Optional.empty();
    }
  }

  /** Returns whether a part of the formula, or all of it, has a property. */
  default boolean anyPart(Predicate<Formula> property) {
    if (property.test(this)) {
      return true;
    }
    if (this instanceof Operation operation) {
      return operation.left().anyPart(property) || operation.right().anyPart(property);
    }
    return this instanceof Function function && function.argument().anyPart(property);
  }

  /** Replaces the leaves of the formula. */
  default Formula withLeaves(UnaryOperator<Formula> replacement) {
    if (this instanceof Operation operation) {
      return new Operation(
          operation.sign(),
          operation.left().withLeaves(replacement),
          operation.right().withLeaves(replacement));
    }
    return this instanceof Function function
        ? new Function(function.name(), function.argument().withLeaves(replacement))
        : replacement.apply(this);
  }

  default boolean mentions(String constant) {
    return anyPart(part -> part instanceof Constant of && of.name().equals(constant));
  }

  /** Returns the names of the variables. */
  default Set<String> variables() {
    Set<String> names = new TreeSet<>();
    anyPart(
        part -> {
          if (part instanceof Variable variable) {
            names.add(variable.name());
          }
          return false;
        });
    return names;
  }
}
