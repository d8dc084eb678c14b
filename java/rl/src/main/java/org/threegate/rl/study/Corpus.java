package org.threegate.rl.study;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;
import org.threegate.rl.task.Demonstration;
import org.threegate.rl.task.Problem;
import org.threegate.rl.task.Split;
import org.threegate.rl.verifier.Verifier;

/**
 * The texts of the study, such as {@code B27+58=085$}: two-digit arithmetic, comparisons, and
 * strings to copy, reverse or sort. Answers have a fixed width. Many answers of the pretraining
 * corpus are deliberately wrong. A model that was trained on it can add, but often does not, which
 * reinforcement learning can fix. A hash assigns each pair of operands to one of three splits.
 *
 * <pre>{@code
 * List<Problem> held = Corpus.sums(Corpus.TEST);
 * Demonstration text = Corpus.pretraining(7, 0);
 * }</pre>
 */
public final class Corpus {
  /** The pairs of operands in the pretraining corpus. */
  public static final Split PRETRAINING = new Split(0, 0.6);

  /** The pairs that models are tuned on. */
  public static final Split TUNING = new Split(0.6, 0.9);

  /** The held-out pairs. */
  public static final Split TEST = new Split(0.9, 1);

  /** Scores the answer after the last mark, and ignores the working before it. */
  public static final Verifier VERIFIER =
      (response, answer) ->
          response.substring(response.lastIndexOf(Corpus.MARK) + 1).equals(answer) ? 1 : 0;

  private static final String BEGIN = "B";
  private static final String END = "$";
  private static final char MARK = '#';
  private static final int OPERANDS = 100;
  private static final int LETTERS = 4; // per string
  private static final double WRONG = 0.4; // share of sums, differences and products
  private static final double SCRATCHPADS = 0.1; // share of sums and differences
  // The shares of + - * % max comparison copy reverse sort, in this order.
  private static final double[] SHARES = {.22, .22, .12, .06, .08, .08, .07, .07, .08};

  private Corpus() {}

  private record Pair(int first, int second) {
    boolean isIn(Split part) {
      return part.contains(first + "," + second);
    }
  }

  private static Pair pair(SplittableRandom random) {
    while (true) {
      Pair pair = new Pair(random.nextInt(OPERANDS), random.nextInt(OPERANDS));
      if (pair.isIn(PRETRAINING)) {
        return pair;
      }
    }
  }

  /**
   * {@return a text of the pretraining corpus}
   *
   * @param seed the seed of the corpus
   * @param place the position of the text, from 0. The corpus is endless
   */
  public static Demonstration pretraining(long seed, long place) {
    SplittableRandom random = new SplittableRandom(seed + 0x9e3779b97f4a7c15L * (place + 1));
    double drawn = random.nextDouble();
    int kind = 0;
    while (kind < SHARES.length - 1 && drawn >= SHARES[kind]) {
      drawn -= SHARES[kind++];
    }
    return new Demonstration("", BEGIN + (kind < 6 ? pair(kind, random) : string(kind, random)));
  }

  private static String pair(int kind, SplittableRandom random) {
    Pair pair = pair(random);
    int first = pair.first();
    int second = pair.second();
    return switch (kind) {
      case 0 -> sum(first, second, random);
      case 1 -> difference(first, second, random);
      case 2 -> text("%02d*%02d=", first, second) + wrong(text("%04d", first * second), random);
      case 3 -> text("%02d%%%02d=%02d", first, second, second == 0 ? first : first % second) + END;
      case 4 -> text("m%02d,%02d=%02d", first, second, Math.max(first, second)) + END;
      default -> text("%02d?%02d=", first, second) + "<=>".charAt(order(first, second)) + END;
    };
  }

  private static int order(int first, int second) {
    return 1 + Integer.compare(first, second);
  }

  private static String sum(int first, int second, SplittableRandom random) {
    String prompt = text("%02d+%02d=", first, second);
    String answer = text("%03d", first + second);
    return random.nextDouble() < SCRATCHPADS
        ? prompt + scratchpad(first, second) + answer + END
        : prompt + wrong(answer, random);
  }

  private static String difference(int first, int second, SplittableRandom random) {
    String prompt = text("%02d-%02d=", first, second);
    String answer = difference(first, second);
    return random.nextDouble() < SCRATCHPADS
        ? prompt + scratchpadOfDifference(first, second) + answer + END
        : prompt + wrong(answer, random);
  }

  private static String difference(int first, int second) {
    return first < second ? text("-%02d", second - first) : text("%03d", first - second);
  }

  /** Ten is added to each digit, so that no difference is negative. */
  private static String scratchpadOfDifference(int first, int second) {
    int ones = first % 10 + 10 - second % 10;
    int tens = first / 10 + 10 - second / 10 - (ones < 10 ? 1 : 0);
    return text("%02d,%02d", ones, tens) + MARK;
  }

  /** Writes the ones, then the tens with the carry. */
  private static String scratchpad(int first, int second) {
    int ones = first % 10 + second % 10;
    return text("%02d,%02d", ones, first / 10 + second / 10 + ones / 10) + MARK;
  }

  /** Replaces a random digit in a share of the answers. */
  private static String wrong(String answer, SplittableRandom random) {
    char[] letters = answer.toCharArray();
    if (random.nextDouble() < WRONG) {
      int first = letters[0] == '-' ? 1 : 0;
      letters[random.nextInt(first, letters.length)] = (char) ('0' + random.nextInt(10));
    }
    return new String(letters) + END;
  }

  private static String string(int kind, SplittableRandom random) {
    StringBuilder given = new StringBuilder();
    for (int i = 0; i < LETTERS; i++) {
      given.append((char) ('0' + random.nextInt(10)));
    }
    char[] sorted = given.toString().toCharArray();
    Arrays.sort(sorted);
    return switch (kind) {
          case 6 -> "c" + given + "=" + given;
          case 7 -> "r" + given + "=" + new StringBuilder(given).reverse();
          default -> "s" + given + "=" + new String(sorted);
        }
        + END;
  }

  /**
   * {@return all sums of a split in order, with correct answers}
   *
   * @param part the split that the operands belong to
   */
  public static List<Problem> sums(Split part) {
    return pairs(part).stream()
        .map(pair -> Problem.of(prompt(pair, '+'), sum(pair), "addition"))
        .toList();
  }

  /**
   * {@return the same sums with digit-by-digit working}
   *
   * @param part the split that the operands belong to
   */
  public static List<Demonstration> scratchpads(Split part) {
    return pairs(part).stream()
        .map(
            pair ->
                new Demonstration(
                    prompt(pair, '+'), scratchpad(pair.first(), pair.second()) + sum(pair) + END))
        .toList();
  }

  /**
   * {@return all differences of a split in order, with correct answers}
   *
   * @param part the split that the operands belong to
   */
  public static List<Problem> differences(Split part) {
    return pairs(part).stream()
        .map(
            pair ->
                Problem.of(
                    prompt(pair, '-'), difference(pair.first(), pair.second()), "subtraction"))
        .toList();
  }

  /**
   * {@return the same differences with digit-by-digit working}
   *
   * @param part the split that the operands belong to
   */
  public static List<Demonstration> differencesWithWorking(Split part) {
    return pairs(part).stream()
        .map(
            pair ->
                new Demonstration(
                    prompt(pair, '-'),
                    scratchpadOfDifference(pair.first(), pair.second())
                        + difference(pair.first(), pair.second())
                        + END))
        .toList();
  }

  private static String sum(Pair pair) {
    return text("%03d", pair.first() + pair.second());
  }

  private static String prompt(Pair pair, char operation) {
    return BEGIN + text("%02d%c%02d=", pair.first(), operation, pair.second());
  }

  private static List<Pair> pairs(Split part) {
    List<Pair> pairs = new ArrayList<>();
    for (int first = 0; first < OPERANDS; first++) {
      for (int second = 0; second < OPERANDS; second++) {
        Pair pair = new Pair(first, second);
        if (pair.isIn(part)) {
          pairs.add(pair);
        }
      }
    }
    return pairs;
  }

  private static String text(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
