package org.threegate.rl.verifier;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.commons.numbers.fraction.BigFraction;
import org.threegate.rl.verifier.Token.Kind;

/**
 * A unit: powers of dimensions, and a factor. The dimensions of unknown words are the words.
 *
 * @param dimensions exponents by dimension
 * @param factor size in basic units
 * @param known whether all words are units of the table
 * @param multiplier a number word such as million, which belongs to the value
 * @param letters the text when it is one letter, which may be a variable; else empty
 */
record Unit(
    Map<String, Integer> dimensions,
    BigFraction factor,
    boolean known,
    BigFraction multiplier,
    String letters) {
  private static final int LARGEST_EXPONENT = 9;

  static final Unit NONE = new Unit(Map.of(), BigFraction.ONE, true, BigFraction.ONE, "");
  static final Unit PERCENT = basic("%", BigFraction.ONE);
  static final Unit DEGREES = basic("degree", BigFraction.ONE);

  private record Entry(String dimension, BigFraction factor, int power) {}

  private static final Map<String, Entry> TABLE = new HashMap<>();
  private static final Map<String, BigFraction> MULTIPLIERS =
      Map.of(
          "hundred", BigFraction.of(100),
          "thousand", BigFraction.of(1000),
          "million", BigFraction.of(1_000_000),
          "billion", BigFraction.of(1_000_000_000),
          "trillion", BigFraction.of(1_000_000).multiply(1_000_000),
          "dozen", BigFraction.of(12));
  // Words that change the meaning of what precedes them. No unit contains them.
  private static final Set<String> REFUSED =
      Set.of(
          "or",
          "and",
          "more",
          "less",
          "fewer",
          "than",
          "not",
          "at",
          "least",
          "most",
          "about",
          "approximately",
          "roughly",
          "if",
          "when",
          "where",
          "for",
          "except",
          "mod",
          "modulo",
          "times",
          "base",
          "to",
          "through",
          "is",
          "are",
          "was",
          "with",
          "without",
          "only",
          "no",
          "exactly",
          "over",
          "under",
          "above",
          "below",
          "between",
          "but",
          "from",
          "plus",
          "minus",
          "otherwise",
          "does",
          "do",
          "undefined",
          "infinite",
          "infinity",
          "all",
          "any",
          "some",
          "every",
          "even",
          "odd",
          "true",
          "false",
          "wrong",
          "correct",
          "incorrect",
          "squared",
          "cubed",
          "half",
          "halves",
          "thirds",
          "quarters",
          "remainder",
          "choose",
          "factorial",
          "by",
          "as",
          "so",
          "then",
          "since",
          "because",
          "maybe",
          "however",
          "th",
          "st",
          "nd",
          "rd");
  // Units that are also short words or products: only after a space, or in \text{}.
  private static final Set<String> AMBIGUOUS = Set.of("in", "am", "pm", "lb", "hr", "ml", "mi");

  private static Unit basic(String dimension, BigFraction factor) {
    return new Unit(Map.of(dimension, 1), factor, true, BigFraction.ONE, "");
  }

  private static void unit(String dimension, String factor, int power, String... names) {
    Entry entry = new Entry(dimension, BigFraction.parse(factor), power);
    for (String name : names) {
      TABLE.put(name, entry);
    }
  }

  static {
    unit("length", "1", 1, "m", "meter", "meters", "metre", "metres");
    unit("length", "1/100", 1, "cm", "centimeter", "centimeters", "centimetre", "centimetres");
    unit("length", "1/1000", 1, "mm", "millimeter", "millimeters", "millimetre", "millimetres");
    unit("length", "1/10", 1, "dm", "decimeter", "decimeters");
    unit("length", "1000", 1, "km", "kilometer", "kilometers", "kilometre", "kilometres");
    unit("length", "254/10000", 1, "in", "inch", "inches");
    unit("length", "3048/10000", 1, "ft", "foot", "feet");
    unit("length", "9144/10000", 1, "yd", "yard", "yards");
    unit("length", "1609344/1000", 1, "mi", "mile", "miles");
    unit("mass", "1", 1, "kg", "kilogram", "kilograms");
    unit("mass", "1/1000", 1, "g", "gram", "grams");
    unit("mass", "1/1000000", 1, "mg", "milligram", "milligrams");
    unit("mass", "1000", 1, "ton", "tons", "tonne", "tonnes");
    unit("mass", "45359237/100000000", 1, "lb", "lbs", "pound", "pounds");
    unit("mass", "45359237/1600000000", 1, "oz", "ounce", "ounces");
    unit("time", "1", 1, "s", "sec", "secs", "second", "seconds");
    unit("time", "60", 1, "min", "mins", "minute", "minutes");
    unit("time", "3600", 1, "h", "hr", "hrs", "hour", "hours");
    unit("time", "86400", 1, "day", "days");
    unit("time", "604800", 1, "week", "weeks");
    unit("month", "1", 1, "month", "months");
    unit("month", "12", 1, "year", "years", "yr", "yrs");
    unit("length", "1/1000", 3, "L", "l", "liter", "liters", "litre", "litres");
    unit("length", "1/1000000", 3, "mL", "ml", "milliliter", "milliliters");
    unit("dollar", "1", 1, "$", "dollar", "dollars", "usd", "bucks");
    unit("dollar", "1/100", 1, "cent", "cents", "\u00a2");
    unit("euro", "1", 1, "\u20ac", "euro", "euros", "eur");
    unit("sterling", "1", 1, "\u00a3", "gbp");
    unit("yen", "1", 1, "\u00a5", "yen", "yuan", "rmb");
    unit("rupee", "1", 1, "rupee", "rupees", "rs");
    unit("force", "1", 1, "N", "newton", "newtons");
    unit("energy", "1", 1, "J", "joule", "joules");
    unit("power", "1", 1, "W", "watt", "watts");
    unit("pressure", "1", 1, "Pa", "pascal", "pascals");
    unit("charge", "1", 1, "C", "coulomb", "coulombs");
    unit("voltage", "1", 1, "V", "volt", "volts");
    unit("current", "1", 1, "A", "ampere", "amperes", "amps");
    unit("resistance", "1", 1, "ohm", "ohms");
    unit("frequency", "1", 1, "Hz", "hertz");
    unit("temperature", "1", 1, "K", "kelvin", "kelvins");
    unit("celsius", "1", 1, "celsius");
    unit("fahrenheit", "1", 1, "fahrenheit");
    unit("substance", "1", 1, "mol", "mole", "moles");
    unit("speed", "1", 1, "mph");
    unit("radian", "1", 1, "rad", "radian", "radians");
    unit("degree", "1", 1, "degree", "degrees", "deg");
    unit("unit", "1", 1, "unit", "units");
    unit("%", "1", 1, "percent", "pct", "percentage", "%");
  }

  /** Returns whether a word is a unit of the table without a doubt. */
  static boolean isKnown(String word, boolean spaced) {
    return word.length() > 1
        && (TABLE.containsKey(word) || TABLE.containsKey(word.toLowerCase(Locale.ROOT)))
        && (spaced || !AMBIGUOUS.contains(word));
  }

  /** Returns whether one letter is a unit. */
  static boolean isLetter(String letter) {
    return TABLE.containsKey(letter);
  }

  /** Parses all of the tokens as a unit with exponents. */
  static Optional<Unit> parse(List<Token> tokens) {
    List<Token> words = new ArrayList<>();
    for (Token token : tokens) {
      if (token.kind() == Kind.TEXT || token.kind() == Kind.WORD) {
        for (String part : token.text().strip().split("(?<=[/.,-])|(?=[/.,-])|[ \u00a0]+")) {
          if (!part.isBlank()) {
            boolean slash = part.equals("/");
            words.add(new Token(slash ? Kind.SYMBOL : Kind.TEXT, part.strip(), false));
          }
        }
      } else {
        words.add(token);
      }
    }
    return new Parser(words).run();
  }

  /** Returns whether the unit is that of the other, with another factor or not. */
  Truth sameDimensions(Unit other) {
    if (dimensions.equals(other.dimensions)) {
      return Truth.YES;
    }
    return known && other.known ? Truth.NO : Truth.UNKNOWN;
  }

  boolean isNone() {
    return dimensions.isEmpty();
  }

  /** Returns whether the unit is exactly that of the dimension. */
  boolean is(String dimension) {
    return dimensions.equals(Map.of(dimension, 1));
  }

  private static final class Parser {
    private final List<Token> words;
    private final Map<String, Integer> dimensions = new TreeMap<>();
    private BigFraction factor = BigFraction.ONE;
    private BigFraction multiplier = BigFraction.ONE;
    private boolean known = true;
    private int at;

    Parser(List<Token> words) {
      this.words = words;
    }

    Optional<Unit> run() {
      int sign = 1;
      boolean any = false;
      while (at < words.size()) {
        Token token = words.get(at++);
        String word = token.text();
        String lower = word.toLowerCase(Locale.ROOT);
        if (token.is("/") || lower.equals("per")) {
          if (!any || sign < 0) {
            return Optional.empty();
          }
          sign = -1;
        } else if (token.is("*") || word.equals(".") || word.equals("-") || word.equals(",")) {
          if (!any) {
            return Optional.empty();
          }
        } else if (lower.equals("of") || lower.equals("the") || lower.equals("a")) {
          continue;
        } else if (token.is("\u00b0")) {
          boolean scale = at < words.size() && words.get(at).text().matches("[CF]");
          add(scale ? words.get(at++).text().equals("C") ? "celsius" : "fahrenheit" : "degree", 1);
          any = true;
        } else if (token.is("$") || token.is("%") || token.text().matches("[\u20ac\u00a3\u00a5]")) {
          add(word, sign);
          any = true;
        } else if (token.kind() != Kind.TEXT || REFUSED.contains(lower)) {
          return Optional.empty();
        } else if (MULTIPLIERS.containsKey(lower)) {
          if (any) {
            return Optional.empty();
          }
          multiplier = multiplier.multiply(MULTIPLIERS.get(lower));
        } else {
          any = true;
          if (!name(lower, word, sign)) {
            return Optional.empty();
          }
        }
      }
      if (!any && multiplier.equals(BigFraction.ONE)) {
        return Optional.empty();
      }
      String letters =
          words.size() == 1 && words.get(0).text().length() == 1 ? words.get(0).text() : "";
      if (dimensions.containsKey("celsius") || dimensions.containsKey("fahrenheit")) {
        dimensions.remove("degree"); // degrees Celsius
      }
      dimensions.values().removeIf(power -> power == 0);
      return Optional.of(new Unit(Map.copyOf(dimensions), factor, known, multiplier, letters));
    }

    /** Parses a name with its power: {@code square cm} and {@code cm^2}. */
    private boolean name(String lower, String word, int sign) {
      int power = 1;
      if (lower.equals("square")
          || lower.equals("sq")
          || lower.equals("cubic")
          || lower.equals("cu")) {
        power = lower.startsWith("sq") ? 2 : 3;
        while (at < words.size() && words.get(at).text().equals(".")) {
          at++;
        }
        if (at == words.size() || words.get(at).kind() != Kind.TEXT) {
          return false;
        }
        word = words.get(at++).text();
        if (REFUSED.contains(word.toLowerCase(Locale.ROOT))) {
          return false;
        }
      }
      if (at < words.size() && words.get(at).is("^")) {
        at++;
        boolean group = at < words.size() && words.get(at).is("{");
        at += group ? 1 : 0;
        boolean minus = at < words.size() && words.get(at).is("-");
        at += minus ? 1 : 0;
        if (at == words.size() || !words.get(at).text().matches("[1-9]")) {
          return false;
        }
        power *= Integer.parseInt(words.get(at++).text()) * (minus ? -1 : 1);
        if (group && (at == words.size() || !words.get(at++).is("}"))) {
          return false;
        }
      }
      return add(word, sign * power);
    }

    private boolean add(String word, int power) {
      Entry entry = TABLE.get(word);
      if (entry == null && word.length() > 1) {
        entry = TABLE.get(word.toLowerCase(Locale.ROOT));
      }
      if (entry == null) {
        known = false;
        String stem = word.toLowerCase(Locale.ROOT);
        if (stem.length() > 3 && stem.endsWith("s") && !stem.endsWith("ss")) {
          stem = stem.substring(0, stem.length() - 1);
        }
        entry = new Entry(stem, BigFraction.ONE, 1);
      }
      int exponent = dimensions.merge(entry.dimension, power * entry.power, Integer::sum);
      factor = factor.multiply(entry.factor.pow(power));
      return Math.abs(exponent) <= LARGEST_EXPONENT;
    }
  }
}
