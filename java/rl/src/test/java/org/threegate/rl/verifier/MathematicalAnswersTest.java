package org.threegate.rl.verifier;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.threegate.testing.Seeds;

class MathematicalAnswersTest {
  private static final Path TABLE = Path.of("src/test/resources/verifier/conformance.tsv");

  /** Each line has a verdict and two answers, which are compared in both orders. */
  @Test
  void theConformanceTableHolds() throws IOException {
    List<String> wrong = new ArrayList<>();
    int pairs = 0;
    for (String line : Files.readAllLines(TABLE)) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] fields = line.split("\t");
      assertThat(fields).as(line).hasSize(3);
      pairs++;
      for (int order = 0; order < 2; order++) {
        String found =
            MathematicalAnswers.compare(fields[1 + order], fields[2 - order])
                .name()
                .toLowerCase(Locale.ROOT);
        if (!found.equals(fields[0])) {
          wrong.add(found + ": " + line + (order == 1 ? " (in reverse order)" : ""));
        }
      }
    }
    assertThat(wrong).isEmpty();
    assertThat(pairs).isGreaterThanOrEqualTo(200);
  }

  /** Random input gives a verdict, and neither fails nor hangs. */
  @Test
  void noiseIsAnswered() {
    Random random = Seeds.random("noiseIsAnswered");
    String[] pieces = {
      "\\frac",
      "{",
      "}",
      "(",
      ")",
      "[",
      "]",
      "^",
      "9",
      "x",
      "\\sqrt",
      "!",
      "|",
      ",",
      "=",
      "<",
      "\\{",
      "\\}",
      "-",
      "+",
      "/",
      ".",
      "e",
      "\\sin",
      "_",
      "%",
      "\\overline{",
      "\\log",
      " ",
      "pm"
    };
    for (int round = 0; round < 20_000; round++) {
      StringBuilder text = new StringBuilder();
      for (int i = random.nextInt(40); i >= 0; i--) {
        text.append(pieces[random.nextInt(pieces.length)]);
      }
      assertThat(MathematicalAnswers.compare(text.toString(), "1")).isNotNull();
      MathematicalAnswers.compare(text.toString(), text + "+0");
    }
    assertThat(MathematicalAnswers.compare("9^{9^{9^{9}}}", "1"))
        .isNotEqualTo(MathematicalAnswers.Verdict.EQUAL);
    assertThat(MathematicalAnswers.compare("(".repeat(1000), "1"))
        .isEqualTo(MathematicalAnswers.Verdict.DIFFERENT);
    assertThat(MathematicalAnswers.compare("1".repeat(5000), "1"))
        .isEqualTo(MathematicalAnswers.Verdict.UNDECIDED);
  }
}
