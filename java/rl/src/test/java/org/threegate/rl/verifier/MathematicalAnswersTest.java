package org.threegate.rl.verifier;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.threegate.rl.verifier.BoundedVerifier.Outcome;
import org.threegate.rl.verifier.MathematicalAnswers.Verdict;
import org.threegate.testing.Seeds;

class MathematicalAnswersTest {
  private static final Path TABLE = Path.of("src/test/resources/verifier/conformance.tsv");
  private static final Path SHARED = Path.of("../../../shared/cases/verifier/pairs.tsv");
  private static final int LEAST_PAIRS = 600;

  private static String verdict(String first, String second) {
    return MathematicalAnswers.compare(first, second).name().toLowerCase(Locale.ROOT);
  }

  /**
   * Each class of pairs has a name and a policy. Each line has a verdict and two answers, which are
   * compared in both orders. Prints how many pairs of each verdict a class has.
   */
  @Test
  void theConformanceTableHolds() throws IOException {
    List<String> wrong = new ArrayList<>();
    Map<String, Map<String, Integer>> classes = new LinkedHashMap<>();
    Map<String, Integer> counts = new TreeMap<>();
    int pairs = 0;
    for (String line : Files.readAllLines(TABLE)) {
      if (line.startsWith("## ")) {
        assertThat(line).as("a name and a policy").matches("## [^:]+: \\S.*\\.");
        counts = new TreeMap<>();
        classes.put(line.substring(3, line.indexOf(':')), counts);
        continue;
      }
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] fields = line.split("\t");
      assertThat(fields).as(line).hasSize(3);
      assertThat(fields[0]).as(line).isIn("equal", "different", "undecided");
      pairs++;
      counts.merge(fields[0], 1, Integer::sum);
      for (int order = 0; order < 2; order++) {
        String found = verdict(fields[1 + order], fields[2 - order]);
        if (!found.equals(fields[0])) {
          wrong.add(found + ": " + line + (order == 1 ? " (in reverse order)" : ""));
        }
      }
    }
    System.out.printf("%-28s %6s %10s %10s%n", "class", "equal", "different", "undecided");
    classes.forEach(
        (name, of) ->
            System.out.printf(
                "%-28s %6d %10d %10d%n",
                name,
                of.getOrDefault("equal", 0),
                of.getOrDefault("different", 0),
                of.getOrDefault("undecided", 0)));
    assertThat(wrong).isEmpty();
    assertThat(pairs).isGreaterThanOrEqualTo(LEAST_PAIRS);
    // Classes of what is decided have pairs on both sides.
    assertThat(classes)
        .allSatisfy(
            (name, of) ->
                assertThat(
                        of.containsKey("equal")
                                && (of.containsKey("different") || of.containsKey("undecided"))
                            || !of.containsKey("equal") && of.keySet().contains("undecided"))
                    .isTrue());
  }

  /** An unknown token between others never leaves an answer that equals the one without it. */
  @Test
  void unknownTokensAreNotDropped() throws IOException {
    Pattern token = Pattern.compile("\\\\[a-zA-Z]+|\\\\.|[0-9]+|[a-zA-Z]+|\\s+|.");
    String[] unknown = {
      "\\foo ", "#", "@", "?", "\\oint ", "\\bmod 3 ", "\u00a7", "\\to ", "\\\\|"
    };
    Random random = Seeds.random("unknownTokensAreNotDropped");
    for (String line : Files.readAllLines(TABLE)) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String answer = line.split("\t")[1];
      List<Integer> places = token.matcher(answer).results().map(MatchResult::start).toList();
      int at = places.get(random.nextInt(places.size()));
      String other = unknown[random.nextInt(unknown.length)];
      String changed = answer.substring(0, at) + other + answer.substring(at);
      assertThat(MathematicalAnswers.compare(answer, changed))
          .as(answer + " and " + changed)
          .isNotEqualTo(Verdict.EQUAL);
    }
  }

  /** The pairs that were wrong once, if they are there. */
  @Test
  void theSharedPairsHold() throws IOException {
    if (!Files.exists(SHARED)) {
      System.out.println("SKIPPED theSharedPairsHold: " + SHARED.toAbsolutePath() + " is missing");
    }
    assumeThat(SHARED).exists();
    List<String> wrong = new ArrayList<>();
    for (String line : Files.readAllLines(SHARED)) {
      if (line.isBlank() || line.startsWith("#")) {
        continue;
      }
      String[] fields = line.split("\t");
      boolean equal = MathematicalAnswers.compare(fields[0], fields[1]) == Verdict.EQUAL;
      if (equal != fields[2].equals("1")) {
        wrong.add(line);
      }
    }
    assertThat(wrong).isEmpty();
  }

  /** Random input gives a verdict, and neither fails nor hangs. */
  @Test
  void noiseIsAnswered() {
    Random random = Seeds.random("noiseIsAnswered");
    String[] pieces =
        ("\\frac { } ( ) [ ] ^ 9 x \\sqrt ! | , = < \\{ \\} - + / . e \\sin _ % \\overline{ \\log"
                + " \\pm \\text{or} \\cup \\in : & \\\\ \\begin{pmatrix} \\end{pmatrix} \\dot"
                + " \\circ \\choose \\text{cm} \\left \\right. \\! \\, $ \\boxed {,} 1/2 ∞ ² ½ i")
            .split(" ");
    for (int round = 0; round < 4_000; round++) {
      StringBuilder text = new StringBuilder();
      for (int i = random.nextInt(30); i >= 0; i--) {
        text.append(pieces[random.nextInt(pieces.length)]);
        text.append(random.nextInt(4) == 0 ? " " : "");
      }
      String noise = text.toString();
      Verdict one = MathematicalAnswers.compare(noise, "1");
      assertThat(MathematicalAnswers.compare("1", noise)).as(noise).isEqualTo(one);
      MathematicalAnswers.compare(noise, noise + "+0");
    }
  }

  /** Products of random factors equal themselves in another order, and nothing else. */
  @Test
  void randomFormulasAreDecided() {
    Random random = Seeds.random("randomFormulasAreDecided");
    String[] factors = {
      "x",
      "(x+1)",
      "\\sqrt{2}",
      "\\pi",
      "(y-3)",
      "\\sin x",
      "e^{x}",
      "\\frac{1}{3}",
      "\\ln 5",
      "\\sqrt{x^2+1}",
      "(2-\\sqrt3)",
      "y^{-2}"
    };
    for (int round = 0; round < 100; round++) {
      List<String> chosen = new ArrayList<>();
      for (int i = random.nextInt(4); i >= 0; i--) {
        chosen.add(factors[random.nextInt(factors.length)]);
      }
      String one = String.join("\\cdot ", chosen);
      Collections.shuffle(chosen, random);
      String other = String.join("\\cdot ", chosen);
      assertThat(MathematicalAnswers.compare(one, other)).as(one).isEqualTo(Verdict.EQUAL);
      for (String change : List.of("+10^{-18}", "\\cdot(1+10^{-18})", "-x^5")) {
        assertThat(MathematicalAnswers.compare(one, other + change))
            .as(one + " and " + other + change)
            .isEqualTo(Verdict.DIFFERENT);
      }
    }
  }

  /** Huge exponents, deep nesting and long input end within a bounded time. */
  @Test
  void hostileAnswersAreBounded() {
    List<String> hostile =
        List.of(
            "9^{9^{9}}",
            "9^{9^{9^{9}}}",
            "10^{-10^{9}}",
            "e^{e^{e^{e}}}",
            "\\sin(10^{300})",
            "((1000!)!)!",
            "100000!",
            "(a+b+c+d+e+f+g+h)^{60}",
            "(x+1)^{100000}",
            "x^{x^{x^{x}}}",
            "x^{0.123456789}",
            "\\sqrt[1000000000]{2}",
            "\\sqrt[97]{2}+\\sqrt[89]{3}",
            "\\sqrt2+\\sqrt3+\\sqrt5+\\sqrt7+\\sqrt{11}+\\sqrt{13}+\\sqrt{17}+\\sqrt{19}",
            "\\sin\\frac{\\pi}{9973}",
            "\\cos^{1000}x",
            "\\binom{100000}{50000}",
            "1e999",
            "9".repeat(1900),
            "(".repeat(1900),
            "{".repeat(900) + "1" + "}".repeat(900),
            "\\sqrt{".repeat(300) + "2" + "}".repeat(300),
            "\\frac{".repeat(100) + "1" + "}{2}".repeat(100),
            "\\sin(".repeat(200) + "1" + ")".repeat(200),
            "\\text{".repeat(200) + "a" + "}".repeat(200),
            "|x".repeat(200) + "|".repeat(200),
            "1,".repeat(900) + "1",
            "(1,2)\\cup".repeat(150) + "(3,4)",
            "x<".repeat(900) + "1",
            "\\pm 1".repeat(300),
            "\\begin{pmatrix}" + "1&".repeat(900) + "1\\end{pmatrix}",
            "5" + "!".repeat(1800),
            "\\sqrt2\\sqrt3".repeat(150),
            "\\sin x+".repeat(250) + "1",
            "2^".repeat(900) + "2");
    List<Attempt> requests = new ArrayList<>();
    for (String text : hostile) {
      for (String answer : List.of("1", text + "+0", text + "+10^{-30}")) {
        requests.add(new Attempt("\\boxed{" + text + "}", answer));
      }
    }
    // The limit is that of evaluation, and far above what the slowest takes on an idle machine.
    try (BoundedVerifier bounded =
        new BoundedVerifier(Verifiers.MATHEMATICAL, Duration.ofSeconds(20), 2)) {
      List<BoundedVerifier.Score> scores = bounded.scoreAll(requests);
      for (int i = 0; i < scores.size(); i++) {
        assertThat(scores.get(i).outcome())
            .as(requests.get(i).problem().answer())
            .isEqualTo(Outcome.SCORED);
      }
    }
    assertThat(verdict("9^{9^{9}}", "1")).isEqualTo("different");
    assertThat(verdict("9^{9^{9}}", "9^{9^{9}}+1")).isEqualTo("undecided");
    assertThat(verdict("1".repeat(5000), "1")).isEqualTo("undecided");
  }

  /** A call that is interrupted ends soon. */
  @Test
  void anInterruptionEndsTheWork() {
    Thread.currentThread().interrupt();
    try {
      assertThat(verdict("(a+b+c+d+e+f+g+h)^{60}", "(h+a+b+c+d+e+f+g)^{60}"))
          .isEqualTo("undecided");
    } finally {
      assertThat(Thread.interrupted()).isTrue();
    }
  }
}
