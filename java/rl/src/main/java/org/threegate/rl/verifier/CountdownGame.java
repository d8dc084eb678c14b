package org.threegate.rl.verifier;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.commons.numbers.fraction.BigFraction;

/**
 * A countdown problem: reach a target with given numbers, each used at most once.
 *
 * <pre>{@code
 * CountdownGame game = CountdownGame.of("24 from 3 5 7 9");
 * boolean solved = game.play("3+5+7+9") instanceof CountdownGame.Play.Solved;
 * }</pre>
 *
 * @param target the target, a whole number in decimal digits
 * @param numbers the given numbers
 */
public record CountdownGame(String target, List<String> numbers) {
  private static final int LONGEST_EXPRESSION = 1000;
  private static final Pattern ANSWER = Pattern.compile("(-?[0-9]+) from ([0-9 ]+)");
  // At least two numbers, and the operators between them.
  private static final Pattern EXPRESSION =
      Pattern.compile("[(0-9][0-9()+*/ -]*[-+*/][0-9()+*/ -]*[)0-9]");
  private static final Pattern WHOLE = Pattern.compile("[0-9]+");

  /** Copies the numbers. */
  public CountdownGame {
    numbers = List.copyOf(numbers);
  }

  /** What a response is. */
  public sealed interface Play {
    /** There is no expression of at least two numbers in the response. */
    record Nothing() implements Play {}

    /**
     * The expression uses a number that is not given, or more often than it is given.
     *
     * @param expression the expression
     * @param number the number
     */
    record NotGiven(String expression, String number) implements Play {}

    /**
     * The expression cannot be evaluated.
     *
     * @param expression the expression
     */
    record NoValue(String expression) implements Play {}

    /**
     * The expression has another value.
     *
     * @param expression the expression
     * @param value its value, a whole number or a fraction in lowest terms
     */
    record Missed(String expression, String value) implements Play {}

    /**
     * The expression makes the target.
     *
     * @param expression the expression
     */
    record Solved(String expression) implements Play {}
  }

  /**
   * {@return the problem of an answer}
   *
   * @param answer the answer of a problem, such as {@code 24 from 3 5 7 9}
   * @throws IllegalArgumentException for any other text
   */
  public static CountdownGame of(String answer) {
    Matcher game = ANSWER.matcher(answer.strip());
    if (!game.matches() || game.group(2).isBlank()) {
      throw new IllegalArgumentException(
          "a countdown answer must read like \"24 from 3 5 7 9\", but is \"" + answer + '"');
    }
    return new CountdownGame(game.group(1), List.of(game.group(2).strip().split(" +")));
  }

  /**
   * Judges the last expression of a response. Nothing within {@code <think>} counts.
   *
   * @param response the text that the model wrote
   * @return what it is
   */
  public Play play(String response) {
    String text = FinalAnswer.afterThinking(response).orElse("");
    Matcher last =
        EXPRESSION.matcher(text.substring(Math.max(0, text.length() - LONGEST_EXPRESSION)));
    String expression = "";
    while (last.find()) {
      expression = last.group();
    }
    List<String> left = new ArrayList<>(numbers);
    Matcher used = WHOLE.matcher(expression);
    int operands = 0;
    while (used.find()) {
      operands++;
      if (!left.remove(used.group())) {
        return new Play.NotGiven(expression, used.group());
      }
    }
    if (operands < 2) {
      return new Play.Nothing();
    }
    Optional<BigFraction> value = FormulaParser.parse(expression).flatMap(Formula::exact);
    if (value.isEmpty()) {
      return new Play.NoValue(expression);
    }
    return value.get().compareTo(BigFraction.parse(target)) == 0
        ? new Play.Solved(expression)
        : new Play.Missed(
            expression,
            Formula.isWhole(value.get())
                ? value.get().getNumerator().toString()
                : value.get().getNumerator() + "/" + value.get().getDenominator());
  }
}
