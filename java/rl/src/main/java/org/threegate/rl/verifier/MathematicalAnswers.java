package org.threegate.rl.verifier;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeSet;
import org.apache.commons.numbers.complex.Complex;

/**
 * Decides whether two answers are mathematically equal.
 *
 * <ul>
 *   <li>Numbers are compared exactly in every notation: fractions, mixed numbers, decimals,
 *       exponents, percentages, roots, powers and factorials.
 *   <li>Formulas with variables are compared by their values at several points.
 *   <li>Equations are compared up to a factor.
 *   <li>Tuples, sets, lists, vectors and matrices are compared entry by entry.
 *   <li>Intervals, unions of intervals and inequalities of one variable are compared as sets.
 *   <li>Everything else is compared as text.
 * </ul>
 *
 * <p>Units and degree signs are ignored. Decimals are not rounded: 0.33 does not equal 1/3.
 *
 * <pre>{@code
 * MathematicalAnswers.Verdict verdict =
 *     MathematicalAnswers.compare("\\frac{\\sqrt{8}}{2}", "\\sqrt 2");
 * }</pre>
 */
public final class MathematicalAnswers {
  private static final int LONGEST = 2000;
  private static final int DEEPEST = 12;
  private static final double TOLERANCE = 1e-9;
  private static final String BOXED = "\\boxed";
  private static final String MARK = "####";
  // Real points of both signs without a simple relation between them.
  private static final double[] POINTS = {
    0.7390851332, 1.9021605831, -1.2824271291, 2.6220575543, -0.5772156649, 3.3598856662
  };
  private static final int LEAST_POINTS = 3;

  private MathematicalAnswers() {}

  /** The result of a comparison. */
  public enum Verdict {
    /** The answers are equal. */
    EQUAL,
    /** The answers differ. */
    DIFFERENT,
    /** An answer could not be parsed. It is scored as wrong. */
    UNDECIDED
  }

  private sealed interface Answer {
    /** A number or a formula. For a percentage it is the number before the sign. */
    record Expression(Formula formula, boolean percentage) implements Answer {}

    /** With '{' or ' ' as brackets, the order of the entries does not matter. */
    record Items(char open, char close, List<Answer> items) implements Answer {
      boolean isOrdered() {
        return open != Notation.OPEN_SET && open != ' ';
      }
    }

    record Union(List<Answer> parts) implements Answer {}

    record Equation(Formula left, Formula right) implements Answer {}

    record Words(String text, boolean mathematical) implements Answer {}
  }

  /** Returns the last boxed answer, else the text after the last mark, else the whole response. */
  static Optional<String> extract(String response) {
    int boxed = response.lastIndexOf(BOXED);
    if (boxed >= 0) {
      return braced(response, boxed + BOXED.length());
    }
    int mark = response.lastIndexOf(MARK);
    String rest = mark < 0 ? response : response.substring(mark + MARK.length());
    return rest.isBlank() ? Optional.empty() : Optional.of(rest.strip());
  }

  /** Returns the text within the braces that open at {@code begin}; inner braces may nest. */
  private static Optional<String> braced(String text, int begin) {
    int open = begin;
    while (open < text.length() && text.charAt(open) == ' ') {
      open++;
    }
    if (open == text.length() || text.charAt(open) != '{') {
      return Optional.empty();
    }
    int depth = 0;
    for (int i = open; i < text.length(); i++) {
      char next = text.charAt(i);
      boolean escaped = i > 0 && text.charAt(i - 1) == '\\';
      if (next == '{' && !escaped) {
        depth++;
      } else if (next == '}' && !escaped && --depth == 0) {
        return Optional.of(text.substring(open + 1, i)).filter(inside -> !inside.isBlank());
      }
    }
    return Optional.empty();
  }

  /**
   * Compares two answers.
   *
   * @param first an answer
   * @param second another answer
   * @return whether they are equal, as far as it can be decided
   */
  public static Verdict compare(String first, String second) {
    if (first.length() > LONGEST || second.length() > LONGEST) {
      return first.equals(second) ? Verdict.EQUAL : Verdict.UNDECIDED;
    }
    String one = Notation.tidy(first);
    String other = Notation.tidy(second);
    if (plain(one).equals(plain(other)) && !one.isEmpty()) {
      return Verdict.EQUAL;
    }
    return compare(answer(one, 0), answer(other, 0));
  }

  /** Removes white space, except between digits. */
  private static String plain(String text) {
    return text.replaceAll("(?<![0-9]) | (?![0-9])", "");
  }

  private static Answer answer(String raw, int depth) {
    String text = raw.strip();
    if (depth > DEEPEST) {
      return new Answer.Words(text, true);
    }
    List<String> items = split(text, ",;");
    if (items.size() > 1) {
      return new Answer.Items(' ', ' ', answers(items, depth));
    }
    List<String> parts = split(text, "\u222a");
    if (parts.size() > 1) {
      return new Answer.Union(answers(parts, depth));
    }
    int element = text.indexOf('\u2208');
    if (element >= 0) {
      return answer(text.substring(element + 1), depth + 1);
    }
    Optional<Answer> bracketed = bracketed(text, depth);
    if (bracketed.isPresent()) {
      return bracketed.get();
    }
    Optional<Answer> related = related(text);
    if (related.isPresent()) {
      return related.get();
    }
    if (text.indexOf('\u00b1') >= 0) {
      return new Answer.Items(
          ' ',
          ' ',
          List.of(
              answer(text.replace('\u00b1', '+').replace('\u2213', '-'), depth + 1),
              answer(text.replace('\u00b1', '-').replace('\u2213', '+'), depth + 1)));
    }
    boolean percentage = text.endsWith("%");
    String number = percentage ? text.substring(0, text.length() - 1) : text;
    return FormulaParser.parse(number)
        .<Answer>map(formula -> new Answer.Expression(formula, percentage))
        .orElseGet(() -> words(text));
  }

  private static Answer words(String text) {
    return new Answer.Words(
        text.toLowerCase(Locale.ROOT).replace(" ", ""),
        text.chars().anyMatch(c -> c == '\\' || c == '^' || Character.isDigit(c)));
  }

  private static List<Answer> answers(List<String> texts, int depth) {
    return texts.stream().map(text -> answer(text, depth + 1)).toList();
  }

  /** Splits a text at separators outside of brackets. */
  private static List<String> split(String text, String separators) {
    List<String> parts = new ArrayList<>();
    int depth = 0;
    int begin = 0;
    for (int i = 0; i < text.length(); i++) {
      char next = text.charAt(i);
      if ("([{".indexOf(next) >= 0 || next == Notation.OPEN_SET) {
        depth++;
      } else if (")]}".indexOf(next) >= 0 || next == Notation.CLOSE_SET) {
        depth--;
      } else if (depth == 0 && separators.indexOf(next) >= 0) {
        parts.add(text.substring(begin, i));
        begin = i + 1;
      }
    }
    parts.add(text.substring(begin));
    return parts;
  }

  /** Parses a set, a tuple or an interval. Brackets around a single entry are removed. */
  private static Optional<Answer> bracketed(String text, int depth) {
    if (text.length() < 2) {
      return Optional.empty();
    }
    char open = text.charAt(0);
    char close = text.charAt(text.length() - 1);
    boolean set = open == Notation.OPEN_SET && close == Notation.CLOSE_SET;
    if (!set && ("([".indexOf(open) < 0 || ")]".indexOf(close) < 0)) {
      return Optional.empty();
    }
    int level = 0;
    for (int i = 0; i < text.length(); i++) {
      char next = text.charAt(i);
      if ("([".indexOf(next) >= 0 || next == Notation.OPEN_SET) {
        level++;
      } else if (")]".indexOf(next) >= 0 || next == Notation.CLOSE_SET) {
        level--;
      }
      if (level == 0 && i < text.length() - 1) {
        return Optional.empty(); // the bracket closes before the end
      }
    }
    String inside = text.substring(1, text.length() - 1);
    List<String> items = split(inside, ",;");
    if (set || items.size() > 1) {
      return Optional.of(
          new Answer.Items(open, close, inside.isBlank() ? List.of() : answers(items, depth)));
    }
    return open == '(' && close == ')' ? Optional.of(answer(inside, depth + 1)) : Optional.empty();
  }

  /** Parses equations, and turns inequalities of one variable into intervals. */
  private static Optional<Answer> related(String text) {
    String signs = "=<>\u2264\u2265";
    List<String> sides = split(text, signs);
    if (sides.size() < 2 || sides.size() > 3) {
      return Optional.empty();
    }
    List<Optional<Formula>> formulas = sides.stream().map(FormulaParser::parse).toList();
    if (formulas.stream().anyMatch(Optional::isEmpty)) {
      return Optional.empty();
    }
    char first = text.charAt(sides.get(0).length());
    if (sides.size() == 3) {
      char second = text.charAt(sides.get(0).length() + 1 + sides.get(1).length());
      boolean between = formulas.get(1).get() instanceof Formula.Variable;
      boolean rising = "<\u2264".indexOf(first) >= 0 && "<\u2264".indexOf(second) >= 0;
      boolean falling = ">\u2265".indexOf(first) >= 0 && ">\u2265".indexOf(second) >= 0;
      if (!between || !(rising || falling)) {
        return Optional.empty();
      }
      Formula low = formulas.get(rising ? 0 : 2).get();
      Formula high = formulas.get(rising ? 2 : 0).get();
      return Optional.of(
          interval(
              low, isClosed(rising ? first : second), high, isClosed(rising ? second : first)));
    }
    Formula left = formulas.get(0).get();
    Formula right = formulas.get(1).get();
    if (first == '=') {
      return Optional.of(new Answer.Equation(left, right));
    }
    boolean variableFirst = left instanceof Formula.Variable;
    if (!variableFirst && !(right instanceof Formula.Variable)) {
      return Optional.empty();
    }
    Formula bound = variableFirst ? right : left;
    boolean above = variableFirst == (">\u2265".indexOf(first) >= 0);
    Formula infinity = new Formula.Constant("infinity");
    Formula minus = new Formula.Operation('-', Formula.of(0), infinity);
    return Optional.of(
        above
            ? interval(bound, isClosed(first), infinity, false)
            : interval(minus, false, bound, isClosed(first)));
  }

  private static boolean isClosed(char sign) {
    return sign == '\u2264' || sign == '\u2265';
  }

  private static Answer interval(Formula low, boolean lowIn, Formula high, boolean highIn) {
    return new Answer.Items(
        lowIn ? '[' : '(',
        highIn ? ']' : ')',
        List.of(new Answer.Expression(low, false), new Answer.Expression(high, false)));
  }

  private static Verdict compare(Answer one, Answer other) {
    if (one instanceof Answer.Words a && other instanceof Answer.Words b) {
      if (a.text().equals(b.text())) {
        return a.text().isEmpty() ? Verdict.UNDECIDED : Verdict.EQUAL;
      }
      return a.mathematical() || b.mathematical() ? Verdict.UNDECIDED : Verdict.DIFFERENT;
    }
    if (one instanceof Answer.Words || other instanceof Answer.Words) {
      Answer.Words words = (Answer.Words) (one instanceof Answer.Words ? one : other);
      return words.mathematical() ? Verdict.UNDECIDED : Verdict.DIFFERENT;
    }
    if (one instanceof Answer.Expression a && other instanceof Answer.Expression b) {
      return expressions(a, b);
    }
    if (one instanceof Answer.Equation a && other instanceof Answer.Equation b) {
      return equations(a, b);
    }
    if (one instanceof Answer.Equation equation) {
      return solved(equation, other);
    }
    if (other instanceof Answer.Equation equation) {
      return solved(equation, one);
    }
    if (one instanceof Answer.Union a && other instanceof Answer.Union b) {
      return unordered(a.parts(), b.parts());
    }
    if (one instanceof Answer.Items a && other instanceof Answer.Items b) {
      return items(a, b);
    }
    return Verdict.DIFFERENT;
  }

  private static Verdict items(Answer.Items a, Answer.Items b) {
    if (!a.isOrdered() && !b.isOrdered()) {
      return unordered(a.items(), b.items());
    }
    if (a.open() != b.open() || a.close() != b.close() || a.items().size() != b.items().size()) {
      return Verdict.DIFFERENT;
    }
    Verdict worst = Verdict.EQUAL;
    for (int i = 0; i < a.items().size(); i++) {
      worst = worse(worst, compare(a.items().get(i), b.items().get(i)));
    }
    return worst;
  }

  private static Verdict worse(Verdict a, Verdict b) {
    if (a == Verdict.DIFFERENT || b == Verdict.DIFFERENT) {
      return Verdict.DIFFERENT;
    }
    return a == Verdict.UNDECIDED || b == Verdict.UNDECIDED ? Verdict.UNDECIDED : Verdict.EQUAL;
  }

  /** Compares as sets: each entry equals one of the other's. */
  private static Verdict unordered(List<Answer> a, List<Answer> b) {
    return worse(contained(a, b), contained(b, a));
  }

  private static Verdict contained(List<Answer> items, List<Answer> others) {
    Verdict worst = Verdict.EQUAL;
    for (Answer item : items) {
      Verdict best = Verdict.DIFFERENT;
      for (Answer other : others) {
        Verdict verdict = compare(item, other);
        if (verdict == Verdict.EQUAL || best == Verdict.DIFFERENT) {
          best = verdict;
        }
        if (best == Verdict.EQUAL) {
          break;
        }
      }
      worst = worse(worst, best);
    }
    return worst;
  }

  private static Verdict expressions(Answer.Expression a, Answer.Expression b) {
    Verdict same = formulas(a.formula(), b.formula());
    if (a.percentage() == b.percentage() || same == Verdict.EQUAL) {
      return same;
    }
    // 50 % matches 50, for answers in per cent, and one half.
    Formula hundred = Formula.of(100);
    return a.percentage()
        ? formulas(new Formula.Operation('/', a.formula(), hundred), b.formula())
        : formulas(a.formula(), new Formula.Operation('/', b.formula(), hundred));
  }

  /** Reduces {@code x = 5} to 5. */
  private static Verdict solved(Answer.Equation equation, Answer other) {
    boolean named =
        equation.left() instanceof Formula.Variable
            || (equation.left() instanceof Formula.Operation of
                && of.sign() == '*'
                && of.left() instanceof Formula.Variable
                && of.right() instanceof Formula.Variable);
    return named
        ? compare(new Answer.Expression(equation.right(), false), other)
        : Verdict.DIFFERENT;
  }

  /** Two equations have the same solutions when one is a multiple of the other. */
  private static Verdict equations(Answer.Equation a, Answer.Equation b) {
    Formula one = new Formula.Operation('-', a.left(), a.right());
    Formula other = new Formula.Operation('-', b.left(), b.right());
    List<Complex> ratios = new ArrayList<>();
    for (Map<String, Complex> place : places(one, other)) {
      Complex below = other.value(place);
      Complex ratio = one.value(place).divide(below);
      if (ratio.isFinite() && below.abs() > TOLERANCE) {
        ratios.add(ratio);
      }
    }
    if (ratios.size() < LEAST_POINTS) {
      return Verdict.UNDECIDED;
    }
    Complex first = ratios.get(0);
    boolean constant = ratios.stream().allMatch(ratio -> isClose(ratio, first));
    return constant && first.abs() > TOLERANCE ? Verdict.EQUAL : Verdict.DIFFERENT;
  }

  private static Verdict formulas(Formula a, Formula b) {
    var exact = a.exact();
    var other = b.exact();
    if (exact.isPresent() && other.isPresent()) {
      return exact.get().compareTo(other.get()) == 0 ? Verdict.EQUAL : Verdict.DIFFERENT;
    }
    int points = 0;
    boolean bothNameInfinity = a.namesInfinity() && b.namesInfinity();
    for (Map<String, Complex> place : places(a, b)) {
      Complex one = a.value(place);
      Complex two = b.value(place);
      if (one.isNaN() || two.isNaN()) {
        continue;
      }
      boolean infinite = one.isInfinite() || two.isInfinite();
      if (infinite && one.isInfinite() && two.isInfinite() && !bothNameInfinity) {
        continue; // a value too large for a double does not prove a difference
      }
      if (infinite ? one.getReal() != two.getReal() : !isClose(one, two)) {
        return Verdict.DIFFERENT;
      }
      points++;
    }
    return points >= LEAST_POINTS ? Verdict.EQUAL : Verdict.UNDECIDED;
  }

  private static boolean isClose(Complex a, Complex b) {
    return a.subtract(b).abs() <= TOLERANCE * Math.max(a.abs(), b.abs());
  }

  /** Returns values for all variables. */
  private static List<Map<String, Complex>> places(Formula a, Formula b) {
    Set<String> names = new TreeSet<>(a.variables());
    names.addAll(b.variables());
    List<Map<String, Complex>> places = new ArrayList<>();
    for (int i = 0; i < POINTS.length; i++) {
      Map<String, Complex> place = new HashMap<>();
      int index = i;
      for (String name : names) {
        // All values differ: by the point for the first variable, by a factor for the others.
        double value = POINTS[index % POINTS.length] * (1 + (index / POINTS.length) / 7.0);
        place.put(name, Complex.ofCartesian(value, 0));
        index += 1 + POINTS.length * (names.size() > 1 ? 1 : 0);
      }
      places.add(place);
    }
    return places;
  }
}
