package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.commons.numbers.fraction.BigFraction;

/**
 * Parses formulas in LaTeX or in the notation of programs, after {@link Notation} normalized them.
 */
final class FormulaParser {
  private static final int DEEPEST = 60;
  private static final int LONGEST_NUMBER = 1000;
  private static final int LARGEST_DECIMAL_EXPONENT = 300;
  private static final int LONGEST_PRODUCT = 3; // letters in a row that are variables

  private static final Set<String> FUNCTIONS =
      Set.of(
          "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "ln", "log",
          "exp", "abs", "sqrt");
  private static final Map<String, String> CONSTANTS =
      Map.of("pi", "pi", "infty", "infinity", "infinity", "infinity", "oo", "infinity");
  // Short words that are not products of variables.
  private static final Set<String> WORDS = Set.of("yes", "no", "all", "any", "odd");
  private static final Set<String> LETTERS =
      Set.of(
          "alpha", "beta", "gamma", "delta", "epsilon", "theta", "lambda", "mu", "rho", "sigma",
          "tau", "phi", "omega");

  private final String text;
  private int at;
  private int depth;

  /** Signals that a text is not a formula. */
  private static final class Malformed extends RuntimeException {
    Malformed() {
      super("no formula", null, false, false);
    }
  }

  private FormulaParser(String text) {
    this.text = text;
  }

  static Optional<Formula> parse(String text) {
    FormulaParser parser = new FormulaParser(text);
    try {
      Formula formula = parser.sum();
      parser.skip();
      return parser.at == text.length() ? Optional.of(formula) : Optional.empty();
    } catch (Malformed | ArithmeticException | NumberFormatException e) {
      return Optional.empty();
    }
  }

  private void skip() {
    while (at < text.length() && text.charAt(at) == ' ') {
      at++;
    }
  }

  private char peek() {
    skip();
    return at < text.length() ? text.charAt(at) : 0;
  }

  private boolean take(char wanted) {
    if (peek() == wanted) {
      at++;
      return true;
    }
    return false;
  }

  private void require(char wanted) {
    if (!take(wanted)) {
      throw new Malformed();
    }
  }

  private Formula sum() {
    if (++depth > DEEPEST) {
      throw new Malformed();
    }
    Formula result = term();
    while (peek() == '+' || peek() == '-') {
      char sign = text.charAt(at++);
      result = new Formula.Operation(sign, result, term());
    }
    depth--;
    return result;
  }

  private Formula term() {
    Formula result = factor();
    while (true) {
      char next = peek();
      if (next == '*' || next == '/') {
        at++;
        result = new Formula.Operation(next, result, factor());
      } else if (beginsFactor(next)) {
        result = new Formula.Operation('*', result, power());
      } else {
        return result;
      }
    }
  }

  private static boolean beginsFactor(char next) {
    return Character.isDigit(next)
        || isLetter(next)
        || next == '\\'
        || next == '('
        || next == '['
        || next == '{';
  }

  private static boolean isLetter(char next) {
    return next >= 'a' && next <= 'z' || next >= 'A' && next <= 'Z';
  }

  private Formula factor() {
    if (take('-')) {
      return new Formula.Operation('-', Formula.of(0), factor());
    }
    take('+');
    return power();
  }

  private Formula power() {
    Formula base = primary();
    while (true) {
      if (take('!')) {
        base = new Formula.Function("!", base);
      } else if (take('%')) {
        base = new Formula.Operation('/', base, Formula.of(100));
      } else if (take('^')) {
        base = new Formula.Operation('^', base, exponent());
      } else {
        return base;
      }
    }
  }

  private Formula exponent() {
    if (take('-')) {
      return new Formula.Operation('-', Formula.of(0), exponent());
    }
    return peek() == '{' || peek() == '(' || peek() == '\\' ? primary() : single();
  }

  /** Parses the argument of a command: one group, one digit or one letter. */
  private Formula argument() {
    return peek() == '{' || peek() == '\\' ? primary() : oneCharacter();
  }

  private Formula oneCharacter() {
    char next = peek();
    at++;
    if (Character.isDigit(next)) {
      return Formula.of(next - '0');
    }
    if (isLetter(next)) {
      return letter(String.valueOf(next));
    }
    throw new Malformed();
  }

  /** Parses a whole number or one letter. */
  private Formula single() {
    return Character.isDigit(peek()) || peek() == '.' ? number() : oneCharacter();
  }

  private Formula primary() {
    char next = peek();
    if (Character.isDigit(next) || next == '.') {
      return mixed(number());
    }
    if (next == '{' || next == '(' || next == '[') {
      at++;
      Formula inside = sum();
      require(next == '{' ? '}' : next == '(' ? ')' : ']');
      return inside;
    }
    if (next == '|') {
      at++;
      Formula inside = sum();
      require('|');
      return new Formula.Function("abs", inside);
    }
    if (next == '\\') {
      at++;
      return command(name());
    }
    if (isLetter(next)) {
      return letters();
    }
    throw new Malformed();
  }

  /** Parses a mixed number: {@code 1\frac{1}{2}} and {@code 1 1/2} are one and a half. */
  private Formula mixed(Formula whole) {
    if (!isWhole(whole)) {
      return whole;
    }
    int before = at;
    if (text.startsWith("\\frac", at)) {
      at += "\\frac".length();
      Formula top = argument();
      Formula bottom = argument();
      if (isWhole(top) && isWhole(bottom)) {
        return new Formula.Operation('+', whole, new Formula.Operation('/', top, bottom));
      }
    } else if (at < text.length() && text.charAt(at) == ' ' && Character.isDigit(peek())) {
      Formula top = number();
      if (isWhole(top) && take('/') && Character.isDigit(peek())) {
        Formula bottom = number();
        if (isWhole(bottom)) {
          return new Formula.Operation('+', whole, new Formula.Operation('/', top, bottom));
        }
      }
      // Two adjacent numbers are not a formula.
      throw new Malformed();
    }
    at = before;
    return whole;
  }

  private static boolean isWhole(Formula formula) {
    return formula instanceof Formula.Number number
        && number.value().getDenominator().equals(BigInteger.ONE);
  }

  private Formula number() {
    skip();
    int begin = at;
    while (at < text.length() && Character.isDigit(text.charAt(at))) {
      at++;
    }
    int point = at;
    if (at < text.length() && text.charAt(at) == '.') {
      at++;
      while (at < text.length() && Character.isDigit(text.charAt(at))) {
        at++;
      }
    }
    String digits = text.substring(begin, at);
    if (digits.length() > LONGEST_NUMBER || digits.equals(".")) {
      throw new Malformed();
    }
    BigDecimal value = new BigDecimal(digits);
    int places = Math.max(0, at - point - 1);
    if (text.startsWith("\\overline{", at)) {
      return new Formula.Number(repeating(value, places));
    }
    int exponent = decimalExponent();
    BigDecimal shifted = value.scaleByPowerOfTen(exponent);
    return new Formula.Number(fraction(shifted));
  }

  private static BigFraction fraction(BigDecimal value) {
    BigInteger scale = BigInteger.TEN.pow(Math.abs(value.scale()));
    return value.scale() >= 0
        ? BigFraction.of(value.unscaledValue(), scale)
        : BigFraction.of(value.unscaledValue().multiply(scale));
  }

  private BigFraction repeating(BigDecimal value, int places) {
    at += "\\overline{".length();
    int begin = at;
    while (at < text.length() && Character.isDigit(text.charAt(at))) {
      at++;
    }
    String period = text.substring(begin, at);
    if (period.isEmpty() || period.length() > LONGEST_NUMBER) {
      throw new Malformed();
    }
    require('}');
    BigInteger nines = BigInteger.TEN.pow(period.length()).subtract(BigInteger.ONE);
    BigInteger scale = BigInteger.TEN.pow(places);
    return fraction(value).add(BigFraction.of(new BigInteger(period), nines.multiply(scale)));
  }

  /**
   * Parses the exponent of {@code 1.5e-3}. Without digits after it, {@code e} is Euler's number.
   */
  private int decimalExponent() {
    if (at >= text.length() || Character.toLowerCase(text.charAt(at)) != 'e') {
      return 0;
    }
    int digits = at + 1;
    if (digits < text.length() && "+-".indexOf(text.charAt(digits)) >= 0) {
      digits++;
    }
    int end = digits;
    while (end < text.length() && Character.isDigit(text.charAt(end))) {
      end++;
    }
    if (end == digits || end - digits > 3) {
      return 0;
    }
    int exponent = Integer.parseInt(text.substring(at + 1, end));
    if (Math.abs(exponent) > LARGEST_DECIMAL_EXPONENT) {
      throw new Malformed();
    }
    at = end;
    return exponent;
  }

  private String name() {
    int begin = at;
    while (at < text.length() && isLetter(text.charAt(at))) {
      at++;
    }
    return text.substring(begin, at);
  }

  private Formula command(String name) {
    switch (name) {
      case "frac":
        Formula top = argument();
        return new Formula.Operation('/', top, argument());
      case "binom":
        return binomial(argument(), argument());
      case "sqrt":
        if (take('[')) {
          Formula degree = sum();
          require(']');
          return new Formula.Operation(
              '^', argument(), new Formula.Operation('/', Formula.of(1), degree));
        }
        return new Formula.Function("sqrt", peek() == '(' ? primary() : argument());
      default:
        if (LETTERS.contains(name)) {
          return subscripted(name);
        }
        return named(name);
    }
  }

  private static Formula binomial(Formula n, Formula k) {
    Formula rest = new Formula.Operation('-', n, k);
    return new Formula.Operation(
        '/',
        new Formula.Function("!", n),
        new Formula.Operation('*', new Formula.Function("!", k), new Formula.Function("!", rest)));
  }

  private Formula named(String name) {
    if (CONSTANTS.containsKey(name)) {
      return new Formula.Constant(CONSTANTS.get(name));
    }
    if (!FUNCTIONS.contains(name)) {
      throw new Malformed();
    }
    Optional<Formula> base = Optional.empty();
    if (name.equals("log") && take('_')) {
      base = Optional.of(argument());
    }
    Optional<Formula> exponent = take('^') ? Optional.of(exponent()) : Optional.empty();
    if (++depth > DEEPEST) {
      throw new Malformed();
    }
    Formula argument = peek() == '(' || peek() == '{' ? primary() : product();
    depth--;
    Formula result =
        base.isPresent()
            ? new Formula.Operation(
                '/', new Formula.Function("ln", argument), new Formula.Function("ln", base.get()))
            : new Formula.Function(name, argument);
    return exponent.isPresent() ? new Formula.Operation('^', result, exponent.get()) : result;
  }

  /** Parses a function's argument without brackets, such as {@code 2x} in {@code \sin 2x + 1}. */
  private Formula product() {
    Formula result = power();
    while (Character.isDigit(peek()) || isLetter(peek())) {
      result = new Formula.Operation('*', result, power());
    }
    return result;
  }

  private Formula letters() {
    int begin = at;
    String run = name();
    if (FUNCTIONS.contains(run) || CONSTANTS.containsKey(run)) {
      return named(run);
    }
    if (run.length() > LONGEST_PRODUCT || WORDS.contains(run.toLowerCase(Locale.ROOT))) {
      throw new Malformed();
    }
    at = begin + 1;
    return letter(run.substring(0, 1));
  }

  private Formula letter(String name) {
    return switch (name) {
      case "e", "i" -> new Formula.Constant(name);
      default -> subscripted(name);
    };
  }

  private Formula subscripted(String name) {
    if (!take('_')) {
      return new Formula.Variable(name);
    }
    int begin = at;
    if (take('{')) {
      while (at < text.length() && text.charAt(at) != '}') {
        at++;
      }
      require('}');
      return new Formula.Variable(name + "_" + text.substring(begin + 1, at - 1).strip());
    }
    if (at >= text.length()) {
      throw new Malformed();
    }
    return new Formula.Variable(name + "_" + text.charAt(at++));
  }
}
