package org.threegate.rl.task;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.rl.verifier.Verifiers;
import org.threegate.run.InvalidInputException;

class TasksTest {
  @TempDir Path directory;

  private Path file(String text) throws IOException {
    return Files.writeString(directory.resolve("problems.jsonl"), text);
  }

  @Test
  void threeLayoutsAreRead() throws IOException {
    List<Problem> problems =
        ProblemFile.read(
            file(
                """
                {"prompt": "2+2=", "answer": "4", "kind": "sum"}

                {"prompt": "2+3=", "answer": 5}
                {"messages": [{"role": "system", "content": "Think."}, {"role": "user", "content": "2+4?"}], "answer": "6"}
                {"data_source": "openai/gsm8k", "prompt": [{"role": "user", "content": "2+5?"}], "ability": "math", "reward_model": {"style": "rule", "ground_truth": "7"}, "extra_info": {"index": 0}}
                """));
    assertThat(problems.get(0).row())
        .isEqualTo("{\"prompt\": \"2+2=\", \"answer\": \"4\", \"kind\": \"sum\"}");
    assertThat(problems.stream().map(problem -> problem.withRow("{}")))
        .containsExactly(
            Problem.of("2+2=", "4", "sum"),
            Problem.of("2+3=", "5", ""),
            new Problem(
                List.of(new Message("system", "Think."), new Message("user", "2+4?")),
                "6",
                "",
                false),
            new Problem(List.of(new Message("user", "2+5?")), "7", "openai/gsm8k", false));
    assertThat(problems.get(0).prompt()).isEqualTo("2+2=");
    assertThatThrownBy(() -> problems.get(2).prompt()).isInstanceOf(IllegalStateException.class);
  }

  private void refused(String text, String why) throws IOException {
    Path path = file(text);
    assertThatThrownBy(() -> ProblemFile.read(path))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageStartingWith(path.toString())
        .hasMessageContaining(why);
  }

  @Test
  void whatIsNoProblemIsRefusedByItsLine() throws IOException {
    String right = "{\"prompt\": \"2+2=\", \"answer\": \"4\"}\n";
    refused(
        right + "{\"prompt\": \"2+2=\"}",
        ":2: \"answer\" or \"reward_model.ground_truth\" must be a string or a number");
    refused(right + right + "{\"answer\": \"4\"}", ":3: \"prompt\" must be a string");
    refused("{\"messages\": [], \"answer\": \"4\"}", ":1: \"prompt\" must be a string");
    refused(
        "{\"messages\": [{\"role\": \"user\"}], \"answer\": \"4\"}",
        ":1: message 1 must have a string for \"role\" and for \"content\"");
    refused(right + "{", ":2: not valid JSON");
    refused(right + "[1]", ":2: not a JSON object");
    refused("\n\n", "the file has no problems");
    Files.write(
        directory.resolve("problems.jsonl"), "\u00ff".getBytes(StandardCharsets.ISO_8859_1));
    assertThatThrownBy(() -> ProblemFile.read(directory.resolve("problems.jsonl")))
        .hasMessageContaining("not valid UTF-8");
    assertThatThrownBy(() -> ProblemFile.read(directory.resolve("none")))
        .hasMessageContaining("no such file");
  }

  private static Set<String> prompts(List<Problem> problems) {
    return problems.stream().map(Problem::prompt).collect(Collectors.toSet());
  }

  @Test
  void partsDoNotOverlapAndHaveTheirShare() {
    Function<SplittableRandom, Problem> sums = Generators.arithmetic('+', 2);
    Set<String> train = prompts(Generators.draw(sums, 50_000, 1, Split.TRAIN));
    Set<String> test = prompts(Generators.draw(sums, 20_000, 2, Split.TEST));
    Set<String> both = new HashSet<>(train);
    both.retainAll(test);
    assertThat(both).isEmpty();
    // There are 10,000 sums. The test share is a tenth of them, within five standard deviations.
    assertThat(train.size() + test.size()).isBetween(9_900, 10_000);
    assertThat(test.size()).isBetween(850, 1150);
    // About a tenth of the sums with each first number is held out, too.
    for (int first = 0; first < 100; first++) {
      String begin = String.format("%02d+", first);
      assertThat(test.stream().filter(prompt -> prompt.startsWith(begin)).count())
          .as(begin)
          .isBetween(1L, 27L);
    }
    assertThat(Generators.draw(sums, 100, 3, Split.ALL))
        .isEqualTo(Generators.draw(sums, 100, 3, Split.ALL))
        .isNotEqualTo(Generators.draw(sums, 100, 4, Split.ALL));
  }

  @Test
  void answersAreRight() {
    for (char sign : "+-*%".toCharArray()) {
      for (Problem problem : Generators.draw(Generators.arithmetic(sign, 3), 200, 5, Split.ALL)) {
        assertThat(problem.prompt()).hasSize(8).endsWith("=").contains(String.valueOf(sign));
        long first = Long.parseLong(problem.prompt().substring(0, 3));
        long second = Long.parseLong(problem.prompt().substring(4, 7));
        long expected =
            sign == '+'
                ? first + second
                : sign == '-' ? first - second : sign == '*' ? first * second : first % second;
        assertThat(Long.parseLong(problem.answer())).isEqualTo(expected);
      }
    }
    Set<String> verdicts = new HashSet<>();
    for (Problem problem : Generators.draw(Generators.comparison(2), 300, 5, Split.ALL)) {
      int order = problem.prompt().substring(0, 2).compareTo(problem.prompt().substring(3, 5));
      assertThat(problem.answer()).isEqualTo(order < 0 ? "<" : order == 0 ? "=" : ">");
      verdicts.add(problem.answer());
    }
    assertThat(verdicts).hasSize(3);
    for (Problem problem : Generators.draw(Generators.sorting(5), 100, 5, Split.ALL)) {
      String sorted =
          problem
              .prompt()
              .chars()
              .filter(Character::isDigit)
              .sorted()
              .mapToObj(c -> String.valueOf((char) c))
              .collect(Collectors.joining());
      assertThat(problem.answer()).isEqualTo(sorted).hasSize(5);
    }
    assertThatThrownBy(() -> Generators.arithmetic('/', 2))
        .isInstanceOf(IllegalArgumentException.class);
    assertThatThrownBy(() -> new Split(0.5, 0.5)).isInstanceOf(IllegalArgumentException.class);
    Function<SplittableRandom, Problem> one = random -> Problem.of("1", "1", "");
    Split without = Split.TEST.contains("1") ? Split.TRAIN : Split.TEST;
    assertThatThrownBy(() -> Generators.draw(one, 1, 1, without))
        .isInstanceOf(IllegalStateException.class);
  }

  /** With two numbers, the test can try all expressions. */
  @Test
  void countdownsCanBeWon() throws Exception {
    for (Problem problem : Generators.draw(Generators.countdown(2, 20), 200, 5, Split.ALL)) {
      String[] words = problem.prompt().split(" ");
      double best = 0;
      for (String sign : List.of("+", "-", "*")) {
        best =
            Math.max(best, Verifiers.COUNTDOWN.score(words[0] + sign + words[1], problem.answer()));
        best =
            Math.max(best, Verifiers.COUNTDOWN.score(words[1] + sign + words[0], problem.answer()));
      }
      assertThat(best).as(problem.prompt()).isEqualTo(1);
    }
  }
}
