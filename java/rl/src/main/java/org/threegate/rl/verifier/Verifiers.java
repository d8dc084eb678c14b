package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

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
      (response, answer) ->
          scoreOf(CountdownGame.of(answer).play(response) instanceof CountdownGame.Play.Solved);

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
