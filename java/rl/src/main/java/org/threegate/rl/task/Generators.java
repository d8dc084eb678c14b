package org.threegate.rl.task;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.Collectors;

/**
 * Generators of synthetic problems. The same seed gives the same problems.
 *
 * <pre>{@code
 * Function<SplittableRandom, Problem> sums = Generators.arithmetic('+', 2);
 * List<Problem> problems = Generators.draw(sums, 1000, 7, Split.TRAIN);
 * }</pre>
 */
public final class Generators {
  private static final int MOST_DIGITS = 9;
  private static final int TRIES = 10_000; // after which a split counts as empty

  private Generators() {}

  /**
   * Draws problems of a split. A problem may be drawn more than once.
   *
   * @param generator generates a problem
   * @param count the number of problems
   * @param seed the seed
   * @param part the split that the problems belong to
   * @return the problems
   * @throws IllegalStateException when no problem of the split is found
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
   * Generates an operation on two numbers, which are padded with zeros to {@code digits} digits.
   * The answer is the sum, difference, product or remainder without padding.
   *
   * @param sign the operator, one of {@code + - * %}
   * @param digits the number of digits of each operand
   * @return the generator, for {@link #draw}
   */
  public static Function<SplittableRandom, Problem> arithmetic(char sign, int digits) {
    if ("+-*%".indexOf(sign) < 0 || digits < 1 || digits > MOST_DIGITS) {
      throw new IllegalArgumentException(
          "sign must be one of + - * % and digits from 1 to "
              + MOST_DIGITS
              + ", not "
              + sign
              + " and "
              + digits);
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

  /**
   * Generates comparisons of two numbers. The answer is {@code <}, {@code =} or {@code >}.
   *
   * @param digits the number of digits of each number
   * @return the generator, for {@link #draw}
   */
  public static Function<SplittableRandom, Problem> comparison(int digits) {
    long end = Math.round(Math.pow(10, digits));
    return random -> {
      long first = random.nextLong(end);
      // Equal numbers would be rare otherwise.
      long second = random.nextInt(10) == 0 ? first : random.nextLong(end);
      int order = Long.compare(first, second);
      return Problem.of(
          padded(first, digits) + "?" + padded(second, digits) + "=",
          order < 0 ? "<" : order == 0 ? "=" : ">",
          "comparison");
    };
  }

  /**
   * Generates strings of digits to sort.
   *
   * @param length the number of digits of a string
   * @return the generator, for {@link #draw}
   */
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
   * Generates countdown problems: reach a target with given numbers, each used at most once. Every
   * problem has a solution that uses all numbers. The answers are for {@code Verifiers.COUNTDOWN}.
   *
   * @param numbers how many numbers are given, 2 or more
   * @param largest the largest of the numbers
   * @return the generator, for {@link #draw}
   */
  public static Function<SplittableRandom, Problem> countdown(int numbers, int largest) {
    if (numbers < 2 || largest < 1) {
      throw new IllegalArgumentException(
          "numbers must be 2 or more and largest 1 or more, not " + numbers + " and " + largest);
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
