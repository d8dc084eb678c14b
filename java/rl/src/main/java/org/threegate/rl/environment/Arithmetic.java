package org.threegate.rl.environment;

import java.math.BigInteger;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.commons.numbers.fraction.BigFraction;

/**
 * Evaluates an expression of rational numbers exactly. The length of an expression bounds the time,
 * the depth of calls and the size of all numbers.
 */
final class Arithmetic {
  static final int LONGEST = 200; // characters
  private static final Pattern NUMBER = Pattern.compile("[0-9]+(?:\\.[0-9]+)?|\\.[0-9]+");

  private final String text;
  private int at;

  private Arithmetic(String text) {
    this.text = text;
  }

  /**
   * Evaluates an expression with {@code + - * /}, parentheses and decimal numbers.
   *
   * @param expression the expression, with white space anywhere between its parts
   * @return the value
   * @throws ArithmeticException when the text is too long or no such expression, or divides by
   *     zero. The message says which, in a few words
   */
  static BigFraction value(String expression) {
    String text = expression.strip().replace('×', '*').replace('÷', '/').replace('−', '-');
    if (text.length() > LONGEST) {
      throw new ArithmeticException("the expression is longer than " + LONGEST + " characters");
    }
    Arithmetic parser = new Arithmetic(text);
    BigFraction value = parser.sum();
    if (parser.at < text.length()) {
      throw parser.wrong();
    }
    return value;
  }

  /** Returns a value as a person writes it: a whole number, or a fraction in lowest terms. */
  static String text(BigFraction value) {
    return value.getDenominator().equals(BigInteger.ONE)
        ? value.getNumerator().toString()
        : value.getNumerator() + "/" + value.getDenominator();
  }

  private BigFraction sum() {
    BigFraction value = product();
    while (true) {
      if (skips('+')) {
        value = value.add(product());
      } else if (skips('-')) {
        value = value.subtract(product());
      } else {
        return value;
      }
    }
  }

  private BigFraction product() {
    BigFraction value = signed();
    while (true) {
      if (skips('*')) {
        value = value.multiply(signed());
      } else if (skips('/')) {
        BigFraction divisor = signed();
        if (divisor.signum() == 0) {
          throw new ArithmeticException("division by zero");
        }
        value = value.divide(divisor);
      } else {
        return value;
      }
    }
  }

  private BigFraction signed() {
    if (skips('-')) {
      return signed().negate();
    }
    if (skips('+')) {
      return signed();
    }
    if (skips('(')) {
      BigFraction value = sum();
      if (!skips(')')) {
        throw wrong();
      }
      return value;
    }
    return number();
  }

  private BigFraction number() {
    Matcher number = NUMBER.matcher(text).region(at, text.length());
    if (!number.lookingAt()) {
      throw wrong();
    }
    at = number.end();
    skipSpace();
    String digits = number.group();
    int point = digits.indexOf('.');
    if (point < 0) {
      return BigFraction.of(new BigInteger(digits));
    }
    return BigFraction.of(
        new BigInteger(digits.replace(".", "")), BigInteger.TEN.pow(digits.length() - point - 1));
  }

  /** Skips a sign and the space after it. */
  private boolean skips(char sign) {
    if (at == text.length() || text.charAt(at) != sign) {
      return false;
    }
    at++;
    skipSpace();
    return true;
  }

  private void skipSpace() {
    while (at < text.length() && Character.isWhitespace(text.charAt(at))) {
      at++;
    }
  }

  private ArithmeticException wrong() {
    return new ArithmeticException(
        at == text.length()
            ? "the expression is not complete"
            : "character " + (at + 1) + " of the expression is wrong");
  }
}
