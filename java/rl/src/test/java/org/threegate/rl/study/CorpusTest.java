package org.threegate.rl.study;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.threegate.rl.task.Demonstration;
import org.threegate.rl.task.Problem;

/** Tests the content and the shares of the generated texts, and that the parts are disjoint. */
class CorpusTest {
  private static final int COUNT = 40_000;
  private static final List<String> TEXTS =
      LongStream.range(0, COUNT)
          .mapToObj(place -> Corpus.pretraining(7, place).response())
          .toList();
  private static final Pattern PAIR =
      Pattern.compile("B(m?)(\\d\\d)([-+*%?,])(\\d\\d)=(?:(\\d\\d),(\\d\\d)#)?([-\\d<=>]+)\\$");
  private static final Pattern STRING = Pattern.compile("B([crs])(\\d{4})=(\\d{4})\\$");

  private static double share(Predicate<String> which) {
    return TEXTS.stream().filter(which).count() / (double) COUNT;
  }

  @Test
  void textsHaveTheirSharesAndTheirMistakes() {
    int sums = 0;
    int wrong = 0;
    for (String text : TEXTS) {
      Matcher string = STRING.matcher(text);
      if (string.matches()) {
        assertThat(string.group(3)).isEqualTo(string(string.group(1), string.group(2)));
        continue;
      }
      Matcher pair = PAIR.matcher(text);
      assertThat(pair.matches()).as(text).isTrue();
      int first = Integer.parseInt(pair.group(2));
      int second = Integer.parseInt(pair.group(4));
      String answer = pair.group(7);
      switch (pair.group(3)) {
        case "%" ->
            assertThat(Integer.parseInt(answer)).isEqualTo(second == 0 ? first : first % second);
        case "," -> assertThat(Integer.parseInt(answer)).isEqualTo(Math.max(first, second));
        case "?" -> assertThat(answer).isEqualTo(first < second ? "<" : first > second ? ">" : "=");
        case "*" -> assertThat(answer).hasSize(4);
        default -> {
          boolean plus = pair.group(3).equals("+");
          assertThat(answer).hasSize(3);
          boolean right = Integer.parseInt(answer) == (plus ? first + second : first - second);
          if (pair.group(5) == null) {
            sums++;
            wrong += right ? 0 : 1;
          } else {
            assertThat(right).as(text).isTrue();
            int ones = plus ? first % 10 + second % 10 : first % 10 + 10 - second % 10;
            assertThat(Integer.parseInt(pair.group(5))).as(text).isEqualTo(ones);
          }
        }
      }
    }
    // 40 % of these answers get a random digit, which is the old one in a tenth of the cases.
    assertThat(wrong / (double) sums).isCloseTo(0.36, within(0.015));
    assertThat(share(text -> text.contains("+"))).isCloseTo(0.22, within(0.01));
    assertThat(share(text -> text.contains("#"))).isCloseTo(0.044, within(0.005));
    assertThat(share(text -> text.startsWith("Bc"))).isCloseTo(0.07, within(0.006));
    assertThat(TEXTS).allMatch(text -> text.length() <= 18);
    assertThat(Corpus.pretraining(7, 3)).isEqualTo(Corpus.pretraining(7, 3));
    assertThat(Corpus.pretraining(8, 3)).isNotEqualTo(Corpus.pretraining(7, 3));
  }

  private static String string(String kind, String given) {
    char[] sorted = given.toCharArray();
    Arrays.sort(sorted);
    return switch (kind) {
      case "c" -> given;
      case "r" -> new StringBuilder(given).reverse().toString();
      default -> new String(sorted);
    };
  }

  @Test
  void partsDoNotLeak() {
    Set<String> test = prompts(Corpus.sums(Corpus.TEST));
    Set<String> tuning = prompts(Corpus.sums(Corpus.TUNING));
    assertThat(test).doesNotContainAnyElementsOf(tuning).hasSizeBetween(900, 1100);
    assertThat(tuning).hasSizeBetween(2850, 3150);
    Set<String> read =
        TEXTS.stream()
            .filter(text -> text.contains("+"))
            .map(text -> text.substring(0, 7))
            .collect(Collectors.toSet());
    assertThat(read).hasSizeGreaterThan(3000);
    Set<String> held = new HashSet<>(test);
    held.addAll(tuning);
    assertThat(read).doesNotContainAnyElementsOf(held);
  }

  private static Set<String> prompts(List<Problem> problems) {
    return problems.stream().map(Problem::prompt).collect(Collectors.toSet());
  }

  @ParameterizedTest
  @EnumSource(Task.class)
  void answersAreReadBehindTheMark(Task task) throws Exception {
    List<Problem> problems = task.problems(Corpus.TUNING);
    List<Demonstration> scratchpads = task.demonstrations(Corpus.TUNING);
    assertThat(scratchpads).hasSameSizeAs(problems);
    for (int i = 0; i < problems.size(); i++) {
      String prompt = problems.get(i).prompt();
      String answer = problems.get(i).answer();
      int first = Integer.parseInt(prompt.substring(1, 3));
      int second = Integer.parseInt(prompt.substring(4, 6));
      assertThat(Integer.parseInt(answer))
          .isEqualTo(task == Task.ADDITION ? first + second : first - second);
      String response = scratchpads.get(i).response();
      assertThat(scratchpads.get(i).prompt()).isEqualTo(prompt);
      assertThat(response).matches("\\d\\d,\\d\\d#[-\\d]\\d\\d\\$");
      assertThat(Corpus.VERIFIER.score(response.substring(0, 9), answer)).isEqualTo(1);
      assertThat(Corpus.VERIFIER.score(answer, answer)).isEqualTo(1);
      assertThat(Corpus.VERIFIER.score(answer + "#", answer)).isZero();
      assertThat(Corpus.VERIFIER.score("9" + answer, answer)).isZero();
    }
  }

  /** No task may be tuned on operands that another one is measured with, or that were read. */
  @Test
  void tasksHaveTheSameOperands() {
    assertThat(Corpus.differences(Corpus.TEST).stream().map(own -> own.prompt().replace('-', '+')))
        .containsExactlyElementsOf(Corpus.sums(Corpus.TEST).stream().map(Problem::prompt).toList());
  }
}
