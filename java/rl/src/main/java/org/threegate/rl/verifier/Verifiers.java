package org.threegate.rl.verifier;

import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.commons.numbers.fraction.BigFraction;

/**
 * Verifiers that come with the loop.
 *
 * <pre>{@code
 * double right = Verifiers.MATHEMATICAL.score("So it is \\boxed{\\frac{1}{2}}.", "0.5");
 * double wrong = Verifiers.NUMERIC.score("It is 17.\n#### 17", "18");
 * }</pre>
 */
public final class Verifiers {
  private static final String MARK = "####";
  private static final Pattern NUMBER =
      Pattern.compile("[-+]?[0-9][0-9,]*(\\.[0-9]+)?|[-+]?\\.[0-9]+");
  private static final int LONGEST_NUMBER = 1000;
  private static final int LONGEST_EXPRESSION = 1000;

  private static final Pattern COUNTDOWN_ANSWER = Pattern.compile("(-?[0-9]+) from ([0-9 ]+)");
  // Two numbers at least, and what joins them.
  private static final Pattern EXPRESSION =
      Pattern.compile("[(0-9][0-9()+*/ -]*[-+*/][0-9()+*/ -]*[)0-9]");
  private static final Pattern WHOLE = Pattern.compile("[0-9]+");

  private Verifiers() {}

  /** The response is the answer, but for white space around it. */
  public static final Verifier EXACT =
      (response, answer) -> scoreOf(response.strip().equals(answer.strip()));

  /**
   * The number behind the last {@code ####}, as GSM8K writes it, or the last number where there is
   * no such mark, equals that of the answer: thousands' commas, a dollar or per-cent sign and
   * trailing zeros do not matter, digits do.
   */
  public static final Verifier NUMERIC =
      (response, answer) -> {
        Optional<BigDecimal> wanted = number(answer);
        Optional<BigDecimal> found = number(response);
        return scoreOf(
            wanted.isPresent() && found.isPresent() && wanted.get().compareTo(found.get()) == 0);
      };

  /**
   * The last {@code \boxed{}}, else what follows the last {@code ####}, else the response itself
   * equals the answer as mathematics: see {@link MathematicalAnswers}.
   */
  public static final Verifier MATHEMATICAL =
      (response, answer) ->
          scoreOf(
              MathematicalAnswers.extract(response)
                  .map(
                      found ->
                          MathematicalAnswers.compare(
                                  found, MathematicalAnswers.extract(answer).orElse(answer))
                              == MathematicalAnswers.Verdict.EQUAL)
                  .orElse(false));

  /**
   * The last expression of the response makes the target of the given numbers, each used once at
   * most; answers read {@code 24 from 3 5 7 9}.
   */
  public static final Verifier COUNTDOWN =
      (response, answer) -> {
        Matcher game = COUNTDOWN_ANSWER.matcher(answer.strip());
        if (!game.matches()) {
          throw new IllegalArgumentException(
              "an answer of a countdown reads \"24 from 3 5 7 9\", not \"" + answer + '"');
        }
        Matcher last =
            EXPRESSION.matcher(
                response.substring(Math.max(0, response.length() - LONGEST_EXPRESSION)));
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

  private static double scoreOf(boolean right) {
    return right ? 1 : 0;
  }

  private static Optional<BigDecimal> number(String text) {
    int mark = text.lastIndexOf(MARK);
    Matcher numbers = NUMBER.matcher(mark < 0 ? text : text.substring(mark + MARK.length()));
    Optional<BigDecimal> last = Optional.empty();
    while (numbers.find()) {
      String digits = numbers.group().replace(",", "");
      if (digits.length() <= LONGEST_NUMBER) {
        last = Optional.of(new BigDecimal(digits));
        if (mark >= 0) {
          // The first one behind the mark.
          return last;
        }
      }
    }
    return last;
  }
}
