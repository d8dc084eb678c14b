package org.threegate.rl.template;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.math.MathContext;
import java.math.RoundingMode;
import java.util.Locale;
import java.util.Optional;

/** Formats and parses numbers as Python does. */
final class Numerals {
  /** The maximal precision. */
  private static final int MOST_DIGITS = 1000;

  private static final int ENOUGH_DIGITS = 17;

  private Numerals() {}

  private static String special(double value) {
    return Double.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf";
  }

  private static boolean isNegative(double value) {
    return value < 0 || value == 0 && 1 / value < 0;
  }

  /** Returns the shortest digits that parse to the same number. */
  static String shortest(double value) {
    if (!Double.isFinite(value)) {
      return special(value);
    }
    String sign = isNegative(value) ? "-" : "";
    if (value == 0) {
      return sign + "0.0";
    }
    BigDecimal exact = new BigDecimal(Math.abs(value));
    BigDecimal digits = exact;
    for (int count = 1; count <= ENOUGH_DIGITS; count++) {
      digits = exact.round(new MathContext(count, RoundingMode.HALF_EVEN));
      if (digits.doubleValue() == Math.abs(value)) {
        break;
      }
    }
    digits = digits.stripTrailingZeros();
    int exponent = digits.precision() - digits.scale() - 1;
    if (exponent >= -4 && exponent < 16) {
      String plain = digits.toPlainString();
      return sign + plain + (plain.indexOf('.') < 0 ? ".0" : "");
    }
    return sign + scientific(digits, digits.precision() - 1);
  }

  private static String scientific(BigDecimal value, int places) {
    BigDecimal digits =
        value.signum() == 0
            ? BigDecimal.ZERO
            : value.round(new MathContext(places + 1, RoundingMode.HALF_EVEN));
    int exponent = value.signum() == 0 ? 0 : digits.precision() - digits.scale() - 1;
    String mantissa =
        digits
            .scaleByPowerOfTen(-exponent)
            .setScale(places, RoundingMode.HALF_EVEN)
            .toPlainString();
    return mantissa
        + String.format(Locale.ROOT, exponent < 0 ? "e-%02d" : "e+%02d", Math.abs(exponent));
  }

  /**
   * Formats a number like {@code e}, {@code f} or {@code g} of C, without a plus sign.
   *
   * @param zeros whether {@code g} keeps trailing zeros
   */
  static String formatted(double value, char kind, long precision, boolean zeros) {
    if (precision > MOST_DIGITS) {
      throw new TemplateException("a number has more than " + MOST_DIGITS + " digits");
    }
    boolean large = Character.isUpperCase(kind);
    String text =
        Double.isFinite(value)
            ? (isNegative(value) ? "-" : "")
                + finite(
                    new BigDecimal(Math.abs(value)),
                    Character.toLowerCase(kind),
                    (int) precision,
                    zeros)
            : special(value);
    return large ? text.toUpperCase(Locale.ROOT) : text;
  }

  private static String finite(BigDecimal value, char kind, int precision, boolean zeros) {
    if (kind == 'e') {
      return scientific(value, precision);
    }
    if (kind == 'f') {
      return value.setScale(precision, RoundingMode.HALF_EVEN).toPlainString();
    }
    int digits = Math.max(1, precision);
    String longest = scientific(value, digits - 1);
    int exponent = Integer.parseInt(longest.substring(longest.indexOf('e') + 1));
    if (exponent < -4 || exponent >= digits) {
      int at = longest.indexOf('e');
      return (zeros ? longest.substring(0, at) : trimmed(longest.substring(0, at)))
          + longest.substring(at);
    }
    String plain = value.setScale(digits - 1 - exponent, RoundingMode.HALF_EVEN).toPlainString();
    return zeros ? plain : trimmed(plain);
  }

  private static String trimmed(String digits) {
    if (digits.indexOf('.') < 0) {
      return digits;
    }
    int end = digits.length();
    while (digits.charAt(end - 1) == '0') {
      end--;
    }
    return digits.substring(0, digits.charAt(end - 1) == '.' ? end - 1 : end);
  }

  /** Rounds half to even. */
  static double rounded(double value, long places) {
    if (!Double.isFinite(value) || places > 400) {
      return value;
    }
    if (places < -400) {
      return Math.copySign(0, value);
    }
    double rounded =
        new BigDecimal(value).setScale((int) places, RoundingMode.HALF_EVEN).doubleValue();
    return Math.copySign(rounded, value);
  }

  /** Truncates towards zero. */
  static long whole(double value) {
    if (!Double.isFinite(value) || Math.abs(value) >= 0x1p63) {
      throw new TemplateException("a number does not fit into a 64-bit integer");
    }
    return (long) value;
  }

  /** Parses an integer as Python's {@code int} does. */
  static Optional<Value.Int> parsedWhole(String text, int base) {
    String digits = Strings.strip(text, Strings.SPACE, true, true);
    if (digits.length() > MOST_DIGITS || !digits.matches("[+-]?[0-9A-Za-z]+(_[0-9A-Za-z]+)*+")) {
      return Optional.empty();
    }
    String plain = digits.replace("_", "");
    int sign = plain.charAt(0) == '-' || plain.charAt(0) == '+' ? 1 : 0;
    String prefix = base == 16 ? "0x" : base == 8 ? "0o" : base == 2 ? "0b" : "none";
    if (plain.toLowerCase(Locale.ROOT).startsWith(prefix, sign)) {
      plain = plain.substring(0, sign) + plain.substring(sign + 2);
    }
    try {
      BigInteger value = new BigInteger(plain, base);
      if (value.bitLength() > 63) {
        throw new TemplateException("an integer does not fit into 64 bits");
      }
      return Optional.of(new Value.Int(value.longValue()));
    } catch (NumberFormatException e) {
      return Optional.empty();
    }
  }

  /** Parses a number as Python's {@code float} does. */
  static Optional<Value.Real> parsedReal(String text) {
    String stripped = Strings.strip(text, Strings.SPACE, true, true);
    if (stripped.length() > MOST_DIGITS) {
      return Optional.empty();
    }
    String digits = stripped.toLowerCase(Locale.ROOT).replaceAll("(?<=[0-9])_(?=[0-9])", "");
    if (digits.matches("[+-]?nan")) {
      return Optional.of(new Value.Real(Double.NaN));
    }
    if (digits.matches("[+-]?inf(inity)?")) {
      return Optional.of(
          new Value.Real(
              digits.startsWith("-") ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY));
    }
    return digits.matches("[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)(e[+-]?[0-9]+)?")
        ? Optional.of(new Value.Real(Double.parseDouble(digits)))
        : Optional.empty();
  }
}
