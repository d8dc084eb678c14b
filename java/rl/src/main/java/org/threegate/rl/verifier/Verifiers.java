package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.commons.numbers.fraction.BigFraction;

/**
 * The verifiers that come with the library.
 *
 * <pre>{@code
 * double right = Verifiers.MATHEMATICAL.score("So it is \\boxed{\\frac{1}{2}}.", "0.5");
 * double wrong = Verifiers.NUMERIC.score("It is 17.\n#### 17", "18");
 * }</pre>
 */
public final class Verifiers {
  private static final Pattern NUMBER =
      Pattern.compile("[-+]?[0-9][0-9,]*(\\.[0-9]+)?|[-+]?\\.[0-9]+");
  private static final int LONGEST_NUMBER = 1000;
  private static final int LONGEST_EXPRESSION = 1000;

  private static final Pattern COUNTDOWN_ANSWER = Pattern.compile("(-?[0-9]+) from ([0-9 ]+)");
  // At least two numbers, and the operators between them.
  private static final Pattern EXPRESSION =
      Pattern.compile("[(0-9][0-9()+*/ -]*[-+*/][0-9()+*/ -]*[)0-9]");
  private static final Pattern WHOLE = Pattern.compile("[0-9]+");

  private Verifiers() {}

  /** Scores 1 when the response equals the answer, ignoring leading and trailing white space. */
  public static final Verifier EXACT =
      (response, answer) -> scoreOf(response.strip().equals(answer.strip()));

  /**
   * Scores 1 when the final number of the response equals that of the answer. The final number is
   * the one after the last {@code ####}, as in GSM8K, or the last number when there is no such
   * mark. Thousands separators, dollar and per cent signs and trailing zeros are ignored. Nothing
   * within {@code <think>} is an answer.
   */
  public static final Verifier NUMERIC =
      (response, answer) -> {
        Optional<BigDecimal> wanted = number(answer);
        Optional<BigDecimal> found = FinalAnswer.afterThinking(response).flatMap(Verifiers::number);
        return scoreOf(
            wanted.isPresent() && found.isPresent() && wanted.get().compareTo(found.get()) == 0);
      };

  /**
   * Scores 1 when the final answer of the response is mathematically equal to the reference answer.
   * The final answer is the content of the last {@code \boxed{}}, else the line after the last
   * {@code ####}, else the whole response. Boxes that only commas, "and" or "or" part are one
   * answer. Nothing within {@code <think>} is an answer. See {@link MathematicalAnswers} for the
   * comparison.
   */
  public static final Verifier MATHEMATICAL =
      (response, answer) -> scoreOf(isEqual(response, answer, false));

  /**
   * Scores as {@link #MATHEMATICAL}. When there is neither a box nor a mark, a sentence such as
   * "The answer is 7." counts, too.
   */
  public static final Verifier MATHEMATICAL_SENTENCE =
      (response, answer) -> scoreOf(isEqual(response, answer, true));

  /**
   * Scores 1 when the last expression of the response after {@code <think>} evaluates to the target
   * and uses each of the given numbers at most once. The answer reads {@code 24 from 3 5 7 9}.
   */
  public static final Verifier COUNTDOWN =
      (response, answer) -> {
        Matcher game = COUNTDOWN_ANSWER.matcher(answer.strip());
        if (!game.matches()) {
          throw new IllegalArgumentException(
              "a countdown answer must read like \"24 from 3 5 7 9\", but is \"" + answer + '"');
        }
        String text = FinalAnswer.afterThinking(response).orElse("");
        Matcher last =
            EXPRESSION.matcher(text.substring(Math.max(0, text.length() - LONGEST_EXPRESSION)));
        String expression = "";
        while (last.find()) {
          expression = last.group();
        }
        List<String> numbers = new ArrayList<>(List.of(game.group(2).strip().split(" +")));
        Matcher used = WHOLE.matcher(expression);
        int operands = 0;
        while (used.find()) {
          operands++;
          if (!numbers.remove(used.group())) {
            return 0;
          }
        }
        BigFraction target = BigFraction.parse(game.group(1));
        return scoreOf(
            operands > 1
                && FormulaParser.parse(expression)
                    .flatMap(Formula::exact)
                    .map(value -> value.compareTo(target) == 0)
                    .orElse(false));
      };

  private static boolean isEqual(String response, String answer, boolean sentences) {
    return FinalAnswer.of(response, sentences)
        .map(
            found ->
                MathematicalAnswers.compare(found, FinalAnswer.of(answer, false).orElse(answer))
                    == MathematicalAnswers.Verdict.EQUAL)
        .orElse(false);
  }

  private static double scoreOf(boolean right) {
    return right ? 1 : 0;
  }

  private static Optional<BigDecimal> number(String text) {
    int mark = text.lastIndexOf(FinalAnswer.MARK);
    Matcher numbers =
        NUMBER.matcher(mark < 0 ? text : text.substring(mark + FinalAnswer.MARK.length()));
    Optional<BigDecimal> last = Optional.empty();
    while (numbers.find()) {
      String digits = numbers.group().replace(",", "");
      if (digits.length() <= LONGEST_NUMBER) {
        last = Optional.of(new BigDecimal(digits));
        if (mark >= 0) {
          // The first number after the mark is the answer.
          return last;
        }
      }
    }
    return last;
  }
}
