package org.threegate.rl.verifier;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Stream;
import org.threegate.rl.verifier.Token.Kind;

/**
 * Decides whether two answers are mathematically equal.
 *
 * <ul>
 *   <li>Answers are equal or different only if that is proved. Otherwise they are undecided.
 *   <li>Numbers are compared exactly: rational and algebraic ones, and those with pi, e, logarithms
 *       and trigonometric functions. There is no tolerance, and decimals are not rounded: 0.33 does
 *       not equal 1/3.
 *   <li>Formulas are equal if they are wherever both are defined. Variables are real.
 *   <li>Equations are compared up to a constant factor.
 *   <li>Tuples, sets, lists, vectors and matrices are compared entry by entry.
 *   <li>Intervals, unions and inequalities of one variable are compared as sets.
 *   <li>Units are compared with their exponents. A unit that only one answer has is left out, as is
 *       a label such as {@code x =}.
 *   <li>Words are compared as text.
 * </ul>
 *
 * <p>{@code docs/verifier.md} has the grammar and the policies.
 *
 * <pre>{@code
 * MathematicalAnswers.Verdict verdict =
 *     MathematicalAnswers.compare("\\frac{\\sqrt{8}}{2}", "\\sqrt 2");
 * }</pre>
 */
public final class MathematicalAnswers {
  private static final int LONGEST = 2000;

  private MathematicalAnswers() {}

  /** The result of a comparison. */
  public enum Verdict {
    /** The answers are equal. */
    EQUAL,
    /** The answers differ. */
    DIFFERENT,
    /** An answer could not be parsed, or neither is proved. It is scored as wrong. */
    UNDECIDED
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
    List<Token> one = Lexer.tokens(first);
    List<Token> other = Lexer.tokens(second);
    if (!one.isEmpty() && plain(one).equals(plain(other))) {
      return Verdict.EQUAL;
    }
    Optional<Truth> words = words(one, other);
    return verdict(
        words.orElseGet(
            () -> AnswerComparison.equal(AnswerParser.parse(first), AnswerParser.parse(second))));
  }

  private static Verdict verdict(Truth equal) {
    return switch (equal) {
      case YES -> Verdict.EQUAL;
      case NO -> Verdict.DIFFERENT;
      case UNKNOWN -> Verdict.UNDECIDED;
    };
  }

  /** Returns the kinds and texts of tokens, without white space between them. */
  private static String plain(List<Token> tokens) {
    StringBuilder text = new StringBuilder();
    Token before = new Token(Kind.SYMBOL, "", false);
    for (Token token : tokens) {
      // Adjacent numbers or words stay apart.
      boolean apart = before.kind() != Kind.SYMBOL && token.kind() != Kind.SYMBOL && token.spaced();
      text.append(apart ? " " : "").append(token.text().strip());
      text.append(token.kind() == Kind.COMMAND ? "\\" : "");
      before = token;
    }
    return text.toString();
  }

  /** Compares as words if both answers are letters, and one of them is a text and no formula. */
  private static Optional<Truth> words(List<Token> one, List<Token> other) {
    boolean words =
        Stream.concat(one.stream(), other.stream())
            .allMatch(token -> token.kind() == Kind.TEXT || token.kind() == Kind.WORD);
    boolean text =
        Stream.concat(one.stream(), other.stream())
            .anyMatch(token -> token.kind() == Kind.TEXT && token.text().strip().length() > 1);
    return words && text && !one.isEmpty() && !other.isEmpty()
        ? Optional.of(Truth.of(letters(one).equals(letters(other))))
        : Optional.empty();
  }

  private static String letters(List<Token> tokens) {
    StringBuilder text = new StringBuilder();
    tokens.forEach(token -> text.append(token.text()));
    return text.toString().toLowerCase(Locale.ROOT).replaceAll("[\\s\u00a0.]", "");
  }
}
