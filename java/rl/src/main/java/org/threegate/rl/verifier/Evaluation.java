package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.RoundingMode;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.commons.numbers.fraction.BigFraction;

/** Evaluates formulas without variables to rectangles that contain their values. */
final class Evaluation {
  private static final BigFraction HALF = BigFraction.of(1, 2);

  private final RealArithmetic with;
  private final boolean realOnly;
  private final Map<List<BigFraction>, ComplexInterval> powers = new HashMap<>();

  /**
   * @param digits decimal digits of the arithmetic
   * @param realOnly whether roots and logarithms of negative numbers are undefined
   */
  Evaluation(int digits, boolean realOnly) {
    this.with = new RealArithmetic(digits);
    this.realOnly = realOnly;
  }

  /**
   * Evaluates a formula.
   *
   * @throws ArithmeticException when the value is undefined, or cannot be bounded
   */
  ComplexInterval value(Formula formula) {
    if (formula instanceof Formula.Number number) {
      return ComplexInterval.real(with.of(number.value()));
    }
    if (formula instanceof Formula.Constant constant) {
      return switch (constant.name()) {
        case "pi" -> ComplexInterval.real(with.pi());
        case "e" -> ComplexInterval.real(with.exp(Interval.ONE));
        case "i" -> ComplexInterval.I;
        default -> throw new RealArithmetic.Imprecise();
      };
    }
    if (formula instanceof Formula.Operation operation) {
      return operation(operation);
    }
    if (formula instanceof Formula.Function function) {
      return function(function);
    }
    throw new RealArithmetic.Imprecise();
  }

  private ComplexInterval operation(Formula.Operation operation) {
    if (operation.sign() == '^') {
      return power(operation.left(), operation.right());
    }
    ComplexInterval left = value(operation.left());
    ComplexInterval right = value(operation.right());
    return switch (operation.sign()) {
      case '+' -> left.add(right, with);
      case '-' -> left.add(right.negate(), with);
      case '*' -> left.multiply(right, with);
      default -> left.multiply(right.inverse(with), with);
    };
  }

  private ComplexInterval power(Formula base, Formula exponent) {
    Optional<BigFraction> exact = exponent.exact();
    if (exact.isPresent() && exact.get().getDenominator().bitLength() <= 12) {
      if (base instanceof Formula.Number number) {
        // Roots of the same number are often repeated.
        List<BigFraction> key = List.of(number.value(), exact.get());
        ComplexInterval known = powers.get(key);
        if (known == null) {
          known = rationalPower(base, exact.get());
          powers.put(key, known);
        }
        return known;
      }
      return rationalPower(base, exact.get());
    }
    if (base instanceof Formula.Constant constant && constant.name().equals("e")) {
      return value(exponent).exp(with);
    }
    ComplexInterval value = value(base);
    if (realOnly && !(value.isReal() && value.re().isPositive())) {
      throw new RealArithmetic.Imprecise();
    }
    return value.ln(with).multiply(value(exponent), with).exp(with);
  }

  private ComplexInterval rationalPower(Formula base, BigFraction exponent) {
    ComplexInterval value = value(base);
    int degree = exponent.getDenominator().intValue();
    BigInteger times = exponent.getNumerator();
    if (times.signum() <= 0 && !value.excludesZero()) {
      throw new RealArithmetic.Imprecise(); // 0^0 is not a value
    }
    if (degree > 1) {
      if (realOnly && degree % 2 == 0 && !isNotNegative(value)) {
        throw new RealArithmetic.Imprecise();
      }
      value = value.root(degree, with);
    }
    return value.power(times, with);
  }

  private static boolean isNotNegative(ComplexInterval value) {
    return value.isReal() && value.re().low().signum() >= 0;
  }

  private ComplexInterval function(Formula.Function function) {
    Formula inside = function.argument();
    Optional<BigFraction> exact = function.exact();
    if (exact.isPresent()) {
      return ComplexInterval.real(with.of(exact.get()));
    }
    ComplexInterval argument = value(inside);
    switch (function.name()) {
      case "unity":
        Interval angle = with.multiply(with.pi(), argument.re());
        return new ComplexInterval(with.cos(angle), with.sin(angle));
      case "abs":
        return ComplexInterval.real(argument.size(with));
      case "exp":
        return argument.exp(with);
      case "ln", "log":
        if (realOnly && !(argument.isReal() && argument.re().isPositive())) {
          throw new RealArithmetic.Imprecise();
        }
        ComplexInterval ln = argument.ln(with);
        return function.name().equals("ln")
            ? ln
            : ln.multiply(
                ComplexInterval.real(with.inverse(with.ln(Interval.of(BigDecimal.TEN)))), with);
      case "sin", "cos", "tan", "cot", "sec", "csc":
        return trigonometric(function.name(), argument);
      case "sinh", "cosh", "tanh":
        return hyperbolic(function.name(), argument);
      case "arctan":
        return ComplexInterval.real(with.arctan(real(argument)));
      case "arcsin":
        return ComplexInterval.real(arcsin(inside, real(argument)));
      case "arccos":
        Interval quarter = with.multiply(with.pi(), with.of(HALF));
        return ComplexInterval.real(with.subtract(quarter, arcsin(inside, real(argument))));
      case "floor", "ceil":
        RoundingMode mode =
            function.name().equals("floor") ? RoundingMode.FLOOR : RoundingMode.CEILING;
        Interval range = real(argument);
        BigDecimal low = whole(range.low(), mode);
        if (low.compareTo(whole(range.high(), mode)) != 0) {
          throw new RealArithmetic.Imprecise();
        }
        return ComplexInterval.real(Interval.of(low));
      default:
        throw new RealArithmetic.Imprecise();
    }
  }

  /** Rounds to a whole number without aligning very large or small ones. */
  private BigDecimal whole(BigDecimal value, RoundingMode mode) {
    long size = (long) value.precision() - value.scale();
    if (size > with.digits()) {
      throw new RealArithmetic.Imprecise();
    }
    if (size < 0) {
      boolean away = value.signum() < 0 == (mode == RoundingMode.FLOOR);
      return away ? BigDecimal.valueOf(value.signum()) : BigDecimal.ZERO;
    }
    return value.setScale(0, mode);
  }

  private static Interval real(ComplexInterval value) {
    if (!value.isReal()) {
      throw new RealArithmetic.Imprecise();
    }
    return value.re();
  }

  private Interval arcsin(Formula formula, Interval value) {
    Optional<BigFraction> exact = formula.exact().filter(at -> at.abs().equals(BigFraction.ONE));
    if (exact.isPresent()) {
      return with.multiply(with.pi(), with.of(exact.get().multiply(HALF)));
    }
    Interval rest = with.subtract(Interval.ONE, with.power(value, BigInteger.TWO));
    return with.arctan(with.divide(value, with.root(rest, 2)));
  }

  private ComplexInterval trigonometric(String name, ComplexInterval argument) {
    ComplexInterval sine;
    ComplexInterval cosine;
    if (argument.isReal()) {
      sine = ComplexInterval.real(with.sin(argument.re()));
      cosine = ComplexInterval.real(with.cos(argument.re()));
    } else {
      ComplexInterval turned = argument.multiply(ComplexInterval.I, with);
      ComplexInterval up = turned.exp(with);
      ComplexInterval down = turned.negate().exp(with);
      ComplexInterval half = ComplexInterval.real(with.of(HALF));
      cosine = up.add(down, with).multiply(half, with);
      sine =
          up.add(down.negate(), with)
              .multiply(half, with)
              .multiply(ComplexInterval.I.negate(), with);
    }
    return switch (name) {
      case "sin" -> sine;
      case "cos" -> cosine;
      case "tan" -> sine.multiply(cosine.inverse(with), with);
      case "cot" -> cosine.multiply(sine.inverse(with), with);
      case "sec" -> cosine.inverse(with);
      default -> sine.inverse(with);
    };
  }

  private ComplexInterval hyperbolic(String name, ComplexInterval argument) {
    ComplexInterval up = argument.exp(with);
    ComplexInterval down = argument.negate().exp(with);
    ComplexInterval half = ComplexInterval.real(with.of(HALF));
    ComplexInterval sine = up.add(down.negate(), with).multiply(half, with);
    ComplexInterval cosine = up.add(down, with).multiply(half, with);
    return switch (name) {
      case "sinh" -> sine;
      case "cosh" -> cosine;
      default -> sine.multiply(cosine.inverse(with), with);
    };
  }
}
