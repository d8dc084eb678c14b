package org.threegate.rl.verifier;

import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.apache.commons.numbers.complex.Complex;
import org.apache.commons.numbers.fraction.BigFraction;

/** The syntax tree of a formula. */
sealed interface Formula {
  /** A rational number. */
  record Number(BigFraction value) implements Formula {}

  /** A constant: {@code pi}, {@code e}, {@code i} or {@code infinity}. */
  record Constant(String name) implements Formula {}

  record Variable(String name) implements Formula {}

  /** A binary operation: {@code + - * / ^}. */
  record Operation(char sign, Formula left, Formula right) implements Formula {}

  /** A function of one argument. */
  record Function(String name, Formula argument) implements Formula {}

  int MOST_BITS = 1 << 14; // of a numerator or denominator
  int LARGEST_EXPONENT = 1 << 10;
  int LARGEST_FACTORIAL = 170;

  static Formula of(long value) {
    return new Number(BigFraction.of(value));
  }

  /** Returns the exact value. It is empty when the value is not rational, or is too large. */
  default Optional<BigFraction> exact() {
    if (this instanceof Number number) {
      return Optional.of(number.value());
    }
    if (this instanceof Operation operation) {
      Optional<BigFraction> left = operation.left().exact();
      Optional<BigFraction> right = operation.right().exact();
      return left.isPresent() && right.isPresent()
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
    boolean zero = right.compareTo(BigFraction.ZERO) == 0;
    return switch (sign) {
      case '+' -> Optional.of(left.add(right));
      case '-' -> Optional.of(left.subtract(right));
      case '*' -> Optional.of(left.multiply(right));
      case '/' -> zero ? Optional.empty() : Optional.of(left.divide(right));
      default -> power(left, right);
    };
  }

  private static Optional<BigFraction> power(BigFraction base, BigFraction exponent) {
    boolean whole = exponent.getDenominator().bitLength() == 1;
    if (!whole || exponent.getNumerator().bitLength() > 31) {
      return Optional.empty();
    }
    int times = exponent.getNumerator().intValue();
    boolean zero = base.compareTo(BigFraction.ZERO) == 0;
    long bits = Math.max(base.getNumerator().bitLength(), base.getDenominator().bitLength());
    if (Math.abs((long) times) > LARGEST_EXPONENT
        || bits * Math.abs((long) times) > MOST_BITS
        || (zero && times <= 0)) {
      return Optional.empty();
    }
    return Optional.of(base.pow(times));
  }

  private static Optional<BigFraction> applied(String name, BigFraction value) {
    switch (name) {
      case "abs":
        return Optional.of(value.abs());
      case "sqrt":
        return root(value);
      case "!":
        boolean whole = value.getDenominator().bitLength() == 1;
        if (!whole || value.signum() < 0 || value.doubleValue() > LARGEST_FACTORIAL) {
          return Optional.empty();
        }
        BigFraction product = BigFraction.ONE;
        for (int i = 2; i <= value.intValue(); i++) {
          product = product.multiply(i);
        }
        return Optional.of(product);
      default:
        return Optional.empty();
    }
  }

  private static Optional<BigFraction> root(BigFraction value) {
    if (value.signum() < 0) {
      return Optional.empty();
    }
    var numerator = value.getNumerator().sqrtAndRemainder();
    var denominator = value.getDenominator().sqrtAndRemainder();
    return numerator[1].signum() == 0 && denominator[1].signum() == 0
        ? Optional.of(BigFraction.of(numerator[0], denominator[0]))
        : Optional.empty();
  }

  /** Evaluates the formula in the complex plane. The result is not finite where it is undefined. */
  default Complex value(Map<String, Complex> variables) {
    if (this instanceof Number number) {
      return Complex.ofCartesian(number.value().doubleValue(), 0);
    }
    if (this instanceof Variable variable) {
      return variables.get(variable.name());
    }
    if (this instanceof Constant constant) {
      return switch (constant.name()) {
        case "pi" -> Complex.ofCartesian(Math.PI, 0);
        case "e" -> Complex.ofCartesian(Math.E, 0);
        case "i" -> Complex.I;
        default -> Complex.ofCartesian(Double.POSITIVE_INFINITY, 0);
      };
    }
    if (this instanceof Operation operation) {
      Complex left = operation.left().value(variables);
      Complex right = operation.right().value(variables);
      return switch (operation.sign()) {
        case '+' -> left.add(right);
        case '-' -> left.subtract(right);
        case '*' -> left.multiply(right);
        case '/' -> left.divide(right);
        default -> power(left, operation.right(), right);
      };
    }
    Function function = (Function) this;
    Complex argument = function.argument().value(variables);
    return switch (function.name()) {
      case "sqrt" -> argument.sqrt();
      case "abs" -> Complex.ofCartesian(argument.abs(), 0);
      case "ln" -> argument.log();
      case "log" -> argument.log10();
      case "exp" -> argument.exp();
      case "sin" -> argument.sin();
      case "cos" -> argument.cos();
      case "tan" -> argument.tan();
      case "cot" -> Complex.ofCartesian(1, 0).divide(argument.tan());
      case "sec" -> Complex.ofCartesian(1, 0).divide(argument.cos());
      case "csc" -> Complex.ofCartesian(1, 0).divide(argument.sin());
      case "arcsin" -> argument.asin();
      case "arccos" -> argument.acos();
      case "arctan" -> argument.atan();
      default -> Complex.ofCartesian(Double.NaN, Double.NaN);
    };
  }

  /** Raises to an integer power by multiplication, so that real values stay real. */
  private static Complex power(Complex base, Formula exponent, Complex value) {
    Optional<BigFraction> exact = exponent.exact();
    if (exact.isPresent()
        && exact.get().getDenominator().bitLength() == 1
        && exact.get().abs().doubleValue() <= LARGEST_EXPONENT) {
      int times = Math.abs(exact.get().intValue());
      Complex product = Complex.ONE;
      for (int i = 0; i < times; i++) {
        product = product.multiply(base);
      }
      return exact.get().signum() < 0 ? Complex.ONE.divide(product) : product;
    }
    return base.pow(value);
  }

  /** Returns whether the formula is infinity, with either sign. */
  default boolean namesInfinity() {
    if (this instanceof Operation operation) {
      return operation.left().namesInfinity() || operation.right().namesInfinity();
    }
    return this instanceof Constant constant && constant.name().equals("infinity")
        || this instanceof Function function && function.argument().namesInfinity();
  }

  /** Returns the names of the variables. */
  default Set<String> variables() {
    Set<String> names = new TreeSet<>();
    if (this instanceof Variable variable) {
      names.add(variable.name());
    } else if (this instanceof Operation operation) {
      names.addAll(operation.left().variables());
      names.addAll(operation.right().variables());
    } else if (this instanceof Function function) {
      names.addAll(function.argument().variables());
    }
    return names;
  }
}
