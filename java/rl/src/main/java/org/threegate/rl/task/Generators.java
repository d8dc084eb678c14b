package org.threegate.rl.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Problems that are made up, the same for the same seed.
 *
 * <pre>{@code
 * Function<SplittableRandom, Problem> sums = Generators.arithmetic('+', 2);
 * List<Problem> problems = Generators.draw(sums, 1000, 7, Split.TRAIN);
 * }</pre>
 */
public final class Generators {
  private static final int MOST_DIGITS = 9;
  private static final int TRIES = 10_000; // before a part is taken to be empty

  private Generators() {}

  /**
   * Draws problems of a part; one may come twice.
   *
   * @throws IllegalStateException when the part seems to have none
   */
  public static List<Problem> draw(
      Function<SplittableRandom, Problem> generator, int count, long seed, Split part) {
    SplittableRandom random = new SplittableRandom(seed);
    List<Problem> problems = new ArrayList<>();
    int tries = 0;
    while (problems.size() < count) {
      Problem problem = generator.apply(random);
      if (part.contains(problem.prompt())) {
        problems.add(problem);
        tries = 0;
      } else if (++tries == TRIES) {
        throw new IllegalStateException(
            TRIES
                + " problems in a row were not in the part from "
                + part.from()
                + " to "
                + part.to());
      }
    }
    return List.copyOf(problems);
  }

  /**
   * Two numbers of up to {@code digits} digits, written with as many, and their sum, difference,
   * product or remainder, as short as it is.
   *
   * @param sign {@code + - * %}
   */
  public static Function<SplittableRandom, Problem> arithmetic(char sign, int digits) {
    if ("+-*%".indexOf(sign) < 0 || digits < 1 || digits > MOST_DIGITS) {
      throw new IllegalArgumentException(
          "a sign of + - * % and 1 to " + MOST_DIGITS + " digits, not " + sign + " and " + digits);
    }
    long end = Math.round(Math.pow(10, digits));
    return random -> {
      long first = random.nextLong(end);
      long second = sign == '%' ? random.nextLong(1, end) : random.nextLong(end);
      long result =
          switch (sign) {
            case '+' -> first + second;
            case '-' -> first - second;
            case '*' -> first * second;
            default -> first % second;
          };
      String prompt = padded(first, digits) + sign + padded(second, digits) + "=";
      return Problem.of(prompt, Long.toString(result), "arithmetic" + sign);
    };
  }

  private static String padded(long number, int digits) {
    return String.format("%0" + digits + "d", number);
  }

  /** Which of two numbers is larger: {@code <}, {@code =} or {@code >}. */
  public static Function<SplittableRandom, Problem> comparison(int digits) {
    long end = Math.round(Math.pow(10, digits));
    return random -> {
      long first = random.nextLong(end);
      // Equal ones would hardly come otherwise.
      long second = random.nextInt(10) == 0 ? first : random.nextLong(end);
      int order = Long.compare(first, second);
      return Problem.of(
          padded(first, digits) + "?" + padded(second, digits) + "=",
          order < 0 ? "<" : order == 0 ? "=" : ">",
          "comparison");
    };
  }

  /** Digits to be put in order. */
  public static Function<SplittableRandom, Problem> sorting(int length) {
    return random -> {
      char[] digits = new char[length];
      for (int i = 0; i < length; i++) {
        digits[i] = (char) ('0' + random.nextInt(10));
      }
      String prompt = new String(digits) + "=";
      Arrays.sort(digits);
      return Problem.of(prompt, new String(digits), "sorting");
    };
  }

  /**
   * Numbers of which an expression is to make a target, each used once at most; some expression of
   * all of them does. The answer is for {@code Verifiers.COUNTDOWN}.
   *
   * @param numbers how many, 2 at least
   * @param largest of them
   */
  public static Function<SplittableRandom, Problem> countdown(int numbers, int largest) {
    if (numbers < 2 || largest < 1) {
      throw new IllegalArgumentException(numbers + " numbers of up to " + largest);
    }
    return random -> {
      List<Integer> given = new ArrayList<>();
      for (int i = 0; i < numbers; i++) {
        given.add(1 + random.nextInt(largest));
      }
      long target = given.get(0);
      for (int number : given.subList(1, numbers)) {
        target =
            switch (random.nextInt(3)) {
              case 0 -> target + number;
              case 1 -> Math.abs(target - number);
              default -> Math.abs(target) > 1000 ? target + number : target * number;
            };
      }
      Collections.sort(given);
      String all = given.stream().map(String::valueOf).collect(Collectors.joining(" "));
      return Problem.of(all + " make " + target + ": ", target + " from " + all, "countdown");
    };
  }
}
