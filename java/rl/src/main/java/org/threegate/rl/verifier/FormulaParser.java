package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import org.apache.commons.numbers.fraction.BigFraction;
import org.threegate.rl.verifier.Token.Kind;

/**
 * Parses formulas. A formula is made of all its tokens, or there is none.
 *
 * <pre>
 * sum      = term {("+" | "-") term}
 * term     = factor {("*" | "/") factor | power}         not a number after a factor without "*"
 * factor   = {"+" | "-"} power
 * power    = primary {"!" | "%" | "°" | "^" exponent}
 * primary  = number | mixed | group | "|" sum "|" | command | function | letters
 * mixed    = whole (\frac whole whole | " " whole "/" whole)    a proper fraction
 * group    = "(" inner ")" | "[" inner "]" | "{" inner "}"
 * inner    = sum [("\choose" | "\over") sum]
 * function = name ["_" argument] ["^" exponent] (group | {primary})
 * </pre>
 */
final class FormulaParser {
  private static final int DEEPEST = 60;
  private static final int LONGEST_NUMBER = 1000;
  private static final int LARGEST_DECIMAL_EXPONENT = 300;
  private static final int LONGEST_PRODUCT = 3; // letters in a row that are variables
  private static final int LARGEST_CHOICE = 60; // k of a binomial coefficient with a variable

  private static final Set<String> FUNCTIONS =
      Set.of(
          "sin", "cos", "tan", "cot", "sec", "csc", "arcsin", "arccos", "arctan", "arccot",
          "arcsec", "arccsc", "sinh", "cosh", "tanh", "ln", "log", "lg", "exp", "abs", "sqrt");
  private static final Set<String> PERIODIC = Set.of("sin", "cos", "tan", "cot", "sec", "csc");
  private static final Map<String, String> SYNONYMS =
      Map.ofEntries(
          Map.entry("asin", "arcsin"),
          Map.entry("acos", "arccos"),
          Map.entry("atan", "arctan"),
          Map.entry("tg", "tan"),
          Map.entry("ctg", "cot"),
          Map.entry("arctg", "arctan"),
          Map.entry("cosec", "csc"),
          Map.entry("sh", "sinh"),
          Map.entry("ch", "cosh"),
          Map.entry("th", "tanh"),
          Map.entry("dfrac", "frac"),
          Map.entry("tfrac", "frac"),
          Map.entry("cfrac", "frac"),
          Map.entry("dbinom", "binom"),
          Map.entry("tbinom", "binom"),
          Map.entry("infinity", "infty"),
          Map.entry("oo", "infty"),
          Map.entry("varphi", "phi"),
          Map.entry("varepsilon", "epsilon"),
          Map.entry("vartheta", "theta"));
  // Short words that are not products of variables.
  private static final Set<String> WORDS =
      Set.of("yes", "no", "all", "any", "odd", "or", "and", "if", "is", "the", "not", "for");
  private static final Set<String> LETTERS =
      Set.of(
          "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "lambda",
          "mu", "nu", "xi", "rho", "sigma", "tau", "phi", "chi", "psi", "omega", "Gamma", "Delta",
          "Theta", "Lambda", "Sigma", "Phi", "Psi", "Omega", "ell");

  private final List<Token> tokens;
  private int at;
  private int depth;
  private int bars; // open absolute values

  /** Signals that tokens are not a formula. */
  private static final class Malformed extends RuntimeException {
    private static final long serialVersionUID = 1;

    Malformed() {
      super("no formula", null, false, false);
    }
  }

  private FormulaParser(List<Token> tokens) {
    this.tokens = tokens;
  }

  /** Parses a text. */
  static Optional<Formula> parse(String text) {
    return parse(Lexer.tokens(text));
  }

  /** Parses all of the tokens. */
  static Optional<Formula> parse(List<Token> tokens) {
    try {
      FormulaParser parser = new FormulaParser(separated(tokens));
      Formula formula = parser.inner();
      return parser.at == parser.tokens.size() ? Optional.of(formula) : Optional.empty();
    } catch (Malformed | ArithmeticException | NumberFormatException e) {
      return Optional.empty();
    }
  }

  /** Returns the name of a function or constant, or of a letter; or the word itself. */
  private static String canonical(String word) {
    return SYNONYMS.getOrDefault(word, word);
  }

  /** Returns whether a word or command is a function or a constant. */
  static boolean isName(String word) {
    String name = canonical(word);
    return FUNCTIONS.contains(name) || Set.of("pi", "infty", "frac", "binom").contains(name);
  }

  /** Returns whether a command is a letter. */
  static boolean isLetter(String command) {
    return LETTERS.contains(canonical(command));
  }

  /** Splits words into variables, unless they are names. */
  private static List<Token> separated(List<Token> tokens) {
    List<Token> result = new ArrayList<>();
    for (Token token : tokens) {
      String text = token.text().strip();
      boolean word = token.kind() == Kind.WORD || token.kind() == Kind.TEXT;
      if (!word) {
        result.add(token);
      } else if (isName(text)) {
        result.add(new Token(Kind.COMMAND, text, token.spaced()));
      } else if (text.length() == 1) {
        result.add(new Token(Kind.LETTER, text, token.spaced()));
      } else if (token.kind() == Kind.TEXT
          || text.length() > LONGEST_PRODUCT
          || WORDS.contains(text.toLowerCase(Locale.ROOT))) {
        throw new Malformed();
      } else {
        for (int i = 0; i < text.length(); i++) {
          result.add(new Token(Kind.LETTER, text.substring(i, i + 1), i == 0 && token.spaced()));
        }
      }
    }
    return result;
  }

  private boolean ended() {
    return at >= tokens.size();
  }

  private Token peek() {
    if (ended()) {
      throw new Malformed();
    }
    return tokens.get(at);
  }

  private boolean next(String symbol) {
    return !ended() && tokens.get(at).is(symbol);
  }

  private boolean nextCommand(String name) {
    return !ended() && tokens.get(at).isCommand(name);
  }

  private boolean take(String symbol) {
    if (next(symbol)) {
      at++;
      return true;
    }
    return false;
  }

  private void require(String symbol) {
    if (!take(symbol)) {
      throw new Malformed();
    }
  }

  private void descend() {
    if (++depth > DEEPEST) {
      throw new Malformed();
    }
  }

  private Formula inner() {
    Formula first = sum();
    if (nextCommand("choose")) {
      at++;
      return binomial(first, sum());
    }
    if (nextCommand("over")) {
      at++;
      return Formula.quotient(first, sum());
    }
    return first;
  }

  private Formula sum() {
    descend();
    Formula result = term();
    while (next("+") || next("-")) {
      char sign = tokens.get(at++).text().charAt(0);
      result = new Formula.Operation(sign, result, term());
    }
    depth--;
    return result;
  }

  private Formula term() {
    Formula result = factor();
    while (!ended()) {
      if (next("*") || next("/")) {
        char sign = tokens.get(at++).text().charAt(0);
        result = new Formula.Operation(sign, result, factor());
      } else if (beginsFactor(peek()) || bars == 0 && next("|")) {
        result = Formula.product(result, power());
      } else {
        return result;
      }
    }
    return result;
  }

  /** Returns whether a token begins a factor without a sign. Numbers never do. */
  private static boolean beginsFactor(Token token) {
    return switch (token.kind()) {
      case LETTER -> true;
      case COMMAND ->
          !token.text().equals("choose") && !token.text().equals("over") && !token.closes();
      case SYMBOL -> token.is("(") || token.is("[") || token.is("{");
      default -> false;
    };
  }

  private Formula factor() {
    if (next("-")) {
      at++;
      descend();
      Formula result = Formula.negative(factor());
      depth--;
      return result;
    }
    if (take("+")) {
      descend();
      Formula result = factor();
      depth--;
      return result;
    }
    return power();
  }

  private Formula power() {
    Formula base = primary();
    boolean raised = false;
    int marks = 0;
    while (true) {
      if ((next("!") || next("%") || next("\u00b0")) && ++marks > 1) {
        throw new Malformed(); // n!! is no factorial of a factorial
      }
      if (take("!")) {
        base = new Formula.Function("!", base);
      } else if (take("%")) {
        base = Formula.quotient(base, Formula.of(100));
      } else if (take("\u00b0")) {
        base = Formula.product(base, new Formula.Constant("degree"));
      } else if (next("^")) {
        if (raised) {
          throw new Malformed(); // a^b^c
        }
        raised = true;
        at++;
        base = Formula.power(base, exponent());
      } else {
        return base;
      }
    }
  }

  private Formula exponent() {
    if (next("-") || next("+")) {
      boolean minus = tokens.get(at++).is("-");
      descend();
      Formula result = exponent();
      depth--;
      return minus ? Formula.negative(result) : result;
    }
    Token token = peek();
    if (token.kind() == Kind.NUMBER) {
      at++;
      return new Formula.Number(decimal(token.text()));
    }
    return token.is("{") || token.is("(") || token.kind() == Kind.COMMAND ? primary() : oneLetter();
  }

  /** Parses the argument of a command: one group, one digit or one letter. */
  private Formula argument() {
    Token token = peek();
    if (token.kind() == Kind.NUMBER) {
      if (!token.text().matches("\\d+")) {
        throw new Malformed();
      }
      String digits = token.text();
      if (digits.length() == 1) {
        at++;
      } else {
        // The rest of the digits is what follows: \frac12 is one half.
        tokens.set(at, new Token(Kind.NUMBER, digits.substring(1), false));
      }
      return Formula.of(digits.charAt(0) - '0');
    }
    return token.is("{") || token.kind() == Kind.COMMAND ? primary() : oneLetter();
  }

  private Formula oneLetter() {
    Token token = peek();
    if (token.kind() != Kind.LETTER) {
      throw new Malformed();
    }
    at++;
    return letter(token.text());
  }

  private Formula primary() {
    Token token = peek();
    switch (token.kind()) {
      case NUMBER:
        return mixed(number());
      case LETTER:
        at++;
        return subscripted(token.text());
      case COMMAND:
        at++;
        return command(canonical(token.text()));
      case SYMBOL:
        break;
      default:
        throw new Malformed();
    }
    at++;
    if (token.is("{") || token.is("(") || token.is("[")) {
      int outer = bars;
      bars = 0;
      Formula inside = inner();
      bars = outer;
      require(token.is("{") ? "}" : token.is("(") ? ")" : "]");
      return inside;
    }
    if (token.is("|")) {
      bars++;
      Formula inside = sum();
      bars--;
      require("|");
      return new Formula.Function("abs", inside);
    }
    throw new Malformed();
  }

  /** Parses a mixed number: {@code 1\frac{1}{2}} and {@code 1 1/2} are one and a half. */
  private Formula mixed(Formula whole) {
    if (ended() || !isWhole(whole)) {
      return whole;
    }
    Token token = peek();
    if (token.kind() == Kind.COMMAND && canonical(token.text()).equals("frac")) {
      int before = at;
      List<Token> saved = new ArrayList<>(tokens.subList(at, tokens.size()));
      at++;
      Formula top = argument();
      Formula bottom = argument();
      if (isWhole(top) && isWhole(bottom)) {
        return mixed(whole, top, bottom);
      }
      at = before;
      for (int i = 0; i < saved.size(); i++) {
        tokens.set(before + i, saved.get(i));
      }
    } else if (token.kind() == Kind.NUMBER) {
      // Two adjacent numbers are not a formula, except in a mixed number.
      Formula top = number();
      require("/");
      if (!token.spaced() || peek().kind() != Kind.NUMBER) {
        throw new Malformed();
      }
      return mixed(whole, top, number());
    }
    return whole;
  }

  private static Formula mixed(Formula whole, Formula top, Formula bottom) {
    if (!isWhole(top)
        || !isWhole(bottom)
        || value(top).compareTo(value(bottom)) >= 0
        || value(whole).signum() == 0) {
      throw new Malformed(); // a product, or a mixed number: the notation does not tell
    }
    return Formula.of(value(whole).add(value(top).divide(value(bottom))));
  }

  private static BigFraction value(Formula number) {
    return ((Formula.Number) number).value();
  }

  private static boolean isWhole(Formula formula) {
    return formula instanceof Formula.Number number && Formula.isWhole(number.value());
  }

  private Formula number() {
    String digits = tokens.get(at++).text();
    boolean point = digits.indexOf('.') >= 0;
    if (!point
        && next(".")
        && at + 1 < tokens.size()
        && (tokens.get(at + 1).isCommand("overline")
            || tokens.get(at + 1).isCommand("dot")
            || tokens.get(at + 1).is("("))) {
      at++; // the point of 0.\overline{3}
      digits += ".";
      point = true;
    }
    if (point && (nextCommand("overline") || nextCommand("dot") || digits.endsWith("."))) {
      return new Formula.Number(repeating(digits));
    }
    if (next("_")) {
      return new Formula.Number(inBase(digits));
    }
    return new Formula.Number(decimal(digits));
  }

  private static BigFraction decimal(String digits) {
    if (digits.length() > LONGEST_NUMBER) {
      throw new Malformed();
    }
    BigDecimal value = new BigDecimal(digits);
    if (Math.abs(value.scale()) > LARGEST_DECIMAL_EXPONENT + LONGEST_NUMBER) {
      throw new Malformed();
    }
    BigInteger scale = BigInteger.TEN.pow(Math.abs(value.scale()));
    return value.scale() >= 0
        ? BigFraction.of(value.unscaledValue(), scale)
        : BigFraction.of(value.unscaledValue().multiply(scale));
  }

  /** Parses the period of a decimal: under a line, in brackets, or between two dots. */
  private BigFraction repeating(String digits) {
    StringBuilder period = new StringBuilder();
    if (nextCommand("overline") || next("(")) {
      boolean round = tokens.get(at++).is("(");
      if (!round) {
        require("{");
      }
      Token inside = peek();
      at++;
      require(round ? ")" : "}");
      period.append(inside.kind() == Kind.NUMBER ? inside.text() : "?");
    } else {
      period.append(dotted());
      if (!ended() && (peek().kind() == Kind.NUMBER || nextCommand("dot"))) {
        if (peek().kind() == Kind.NUMBER) {
          period.append(tokens.get(at++).text());
        }
        period.append(dotted());
      }
    }
    if (!period.toString().matches("\\d{1," + LONGEST_NUMBER + "}")) {
      throw new Malformed();
    }
    int places = digits.length() - digits.indexOf('.') - 1;
    BigInteger nines = BigInteger.TEN.pow(period.length()).subtract(BigInteger.ONE);
    BigInteger scale = BigInteger.TEN.pow(places);
    String start = digits.endsWith(".") ? digits + "0" : digits;
    return decimal(start)
        .add(BigFraction.of(new BigInteger(period.toString()), nines.multiply(scale)));
  }

  private String dotted() {
    if (!nextCommand("dot")) {
      throw new Malformed();
    }
    at++;
    Formula digit = argument();
    if (!isWhole(digit) || value(digit).compareTo(BigFraction.of(9)) > 0) {
      throw new Malformed();
    }
    return value(digit).getNumerator().toString();
  }

  /** Parses digits in another base: {@code 204_5}. */
  private BigFraction inBase(String digits) {
    require("_");
    boolean group = take("{");
    Token base = peek();
    at++;
    if (group) {
      require("}");
    }
    if (base.kind() != Kind.NUMBER
        || !base.text().matches("\\d{1,2}")
        || !digits.matches("\\d{1," + LONGEST_NUMBER + "}")) {
      throw new Malformed();
    }
    int radix = Integer.parseInt(base.text());
    if (radix < 2 || radix > 36) {
      throw new Malformed();
    }
    return BigFraction.of(new BigInteger(digits, radix));
  }

  private Formula command(String name) {
    switch (name) {
      case "frac":
        Formula top = argument();
        return Formula.quotient(top, argument());
      case "binom":
        Formula n = argument();
        return binomial(n, argument());
      case "sqrt", "unicode-sqrt":
        return root(name);
      case "lfloor", "lceil":
        Formula inside = sum();
        String side = name.substring(1);
        if (!nextCommand("r" + side)) {
          throw new Malformed();
        }
        at++;
        return new Formula.Function(side, inside);
      case "pi":
        return Formula.PI;
      case "infty":
        return Formula.INFINITY;
      default:
        if (LETTERS.contains(name)) {
          return subscripted(name);
        }
        if (!FUNCTIONS.contains(name)) {
          throw new Malformed();
        }
        return function(name);
    }
  }

  private Formula root(String name) {
    Formula degree = Formula.of(2);
    if (take("[")) {
      degree = sum();
      require("]");
    }
    Formula inside;
    if (name.equals("unicode-sqrt") && peek().kind() == Kind.NUMBER) {
      inside = number();
    } else {
      inside = next("(") ? primary() : argument();
    }
    return Formula.power(inside, Formula.quotient(Formula.ONE, degree));
  }

  private static Formula binomial(Formula n, Formula k) {
    if (k instanceof Formula.Number number
        && n.exact().isEmpty()
        && Formula.isWhole(number.value())
        && number.value().signum() >= 0
        && number.value().compareTo(BigFraction.of(LARGEST_CHOICE)) <= 0) {
      Formula product = Formula.ONE;
      for (int i = 0; i < number.value().intValue(); i++) {
        Formula factor = Formula.difference(n, Formula.of(i));
        product = Formula.quotient(Formula.product(product, factor), Formula.of(i + 1));
      }
      return product;
    }
    Formula rest = Formula.difference(n, k);
    Optional<BigFraction> negative = rest.exact().filter(value -> value.signum() < 0);
    if (negative.isPresent() && n.exact().isPresent() && n.exact().get().signum() >= 0) {
      return Formula.ZERO;
    }
    return Formula.quotient(
        new Formula.Function("!", n),
        Formula.product(new Formula.Function("!", k), new Formula.Function("!", rest)));
  }

  private Formula function(String name) {
    Formula base = null;
    if (name.equals("log") && take("_")) {
      base = next("{") || peek().kind() != Kind.NUMBER ? argument() : number();
    }
    Formula exponent = take("^") ? exponent() : null;
    descend();
    Formula argument;
    if (next("(") || next("{") || next("[") || next("|")) {
      argument = primary();
    } else {
      argument = bareArgument();
      if (next("/") && !(argument instanceof Formula.Number)) {
        throw new Malformed(); // sin x/2: the notation does not tell which is divided
      }
    }
    depth--;
    boolean inverse =
        exponent != null
            && exponent.exact().filter(BigFraction.ONE.negate()::equals).isPresent()
            && PERIODIC.contains(name);
    if (inverse) {
      return applied("arc" + name, argument);
    }
    Formula result =
        base == null
            ? applied(name, argument)
            : Formula.quotient(
                new Formula.Function("ln", argument), new Formula.Function("ln", base));
    return exponent == null ? result : Formula.power(result, exponent);
  }

  private static Formula applied(String name, Formula argument) {
    Formula inverse = Formula.quotient(Formula.ONE, argument);
    return switch (name) {
      case "lg" -> new Formula.Function("log", argument);
      case "sqrt" -> Formula.power(argument, Formula.of(BigFraction.of(1, 2)));
      case "arcsec" -> new Formula.Function("arccos", inverse);
      case "arccsc" -> new Formula.Function("arcsin", inverse);
      case "arccot" ->
          Formula.difference(
              Formula.quotient(Formula.PI, Formula.of(2)),
              new Formula.Function("arctan", argument));
      case "sin", "cos", "tan", "cot", "sec", "csc" ->
          new Formula.Function(name, argument.withLeaves(FormulaParser::inRadians));
      default -> new Formula.Function(name, argument);
    };
  }

  private static Formula inRadians(Formula leaf) {
    return leaf.equals(new Formula.Constant("degree"))
        ? Formula.quotient(Formula.PI, Formula.of(180))
        : leaf;
  }

  /** Parses an argument without brackets, such as {@code 2x} in {@code \sin 2x + 1}. */
  private Formula bareArgument() {
    boolean minus = take("-");
    Formula result = power();
    while (!ended()
        && (peek().kind() == Kind.LETTER
            || peek().kind() == Kind.COMMAND
                && (peek().text().equals("pi") || LETTERS.contains(canonical(peek().text()))))) {
      result = Formula.product(result, power());
    }
    return minus ? Formula.negative(result) : result;
  }

  private Formula letter(String name) {
    return switch (name) {
      case "e", "i" -> new Formula.Constant(name);
      default -> new Formula.Variable(name);
    };
  }

  private Formula subscripted(String name) {
    StringBuilder full = new StringBuilder(name);
    if (take("_")) {
      full.append('_');
      if (take("{")) {
        int level = 1;
        while (true) {
          Token token = peek();
          at++;
          level += token.is("{") ? 1 : token.is("}") ? -1 : 0;
          if (level == 0) {
            break;
          }
          if (token.kind() == Kind.UNKNOWN
              || token.kind() == Kind.COMMAND && !isLetter(token.text()) && !isName(token.text())) {
            throw new Malformed();
          }
          full.append(token.text().strip());
        }
      } else {
        Token token = peek();
        if (token.kind() == Kind.NUMBER) {
          if (!token.text().matches("\\d")) {
            throw new Malformed(); // x_12 is x_1 2 in LaTeX, and x_{12} elsewhere
          }
        } else if (token.kind() != Kind.LETTER && token.kind() != Kind.COMMAND) {
          throw new Malformed();
        }
        at++;
        full.append(token.text());
      }
    }
    while (take("'")) {
      full.append('\'');
    }
    return full.length() == name.length() ? letter(name) : new Formula.Variable(full.toString());
  }
}
