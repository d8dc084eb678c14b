package org.threegate.rl.verifier;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.junit.jupiter.api.Test;
import org.threegate.rl.verifier.BoundedVerifier.Outcome;
import org.threegate.rl.verifier.BoundedVerifier.Score;

class VerifiersTest {
  private static void expect(Verifier verifier, double score, String response, String answer)
      throws Exception {
    assertThat(verifier.score(response, answer)).as(response).isEqualTo(score);
  }

  @Test
  void exactMeansExact() throws Exception {
    expect(Verifiers.EXACT, 1, " 085\n", "085");
    expect(Verifiers.EXACT, 0, "85", "085");
  }

  @Test
  void theNumberBehindTheMarkCounts() throws Exception {
    String answer = "She has 3 and buys 15.\n#### 1,018";
    expect(Verifiers.NUMERIC, 1, "First 3, then 15.\n#### 1018", answer);
    expect(Verifiers.NUMERIC, 1, "#### $1,018.00 dollars in 2 months", answer);
    expect(Verifiers.NUMERIC, 1, "The answer is 1018", answer);
    expect(Verifiers.NUMERIC, 1, "#### 3\nNo:\n#### 1018.", answer);
    expect(Verifiers.NUMERIC, 0, "The answer is 1018 and 3", answer);
    expect(Verifiers.NUMERIC, 0, "#### 1017", answer);
    expect(Verifiers.NUMERIC, 0, "#### -1018", answer);
    expect(Verifiers.NUMERIC, 0, "#### none", answer);
    expect(Verifiers.NUMERIC, 0, "", answer);
    expect(Verifiers.NUMERIC, 1, "-0.50", "-.5");
    expect(Verifiers.NUMERIC, 0, "9".repeat(5000), "9");
  }

  @Test
  void theLastBoxCounts() throws Exception {
    Verifier verifier = Verifiers.MATHEMATICAL;
    expect(verifier, 1, "So $x = \\boxed{\\frac{1}{2}}$.", "0.5");
    expect(verifier, 1, "\\boxed{3}, no: \\boxed{\\frac{1}{\\sqrt{4}}}", "\\boxed{0.5}");
    expect(verifier, 0, "\\boxed{0.5}, no: \\boxed{3}", "0.5");
    expect(verifier, 1, "\\boxed {\\{1, \\frac{4}{2}\\}}", "\\{2,1\\}");
    expect(verifier, 0, "\\boxed{0.5", "0.5");
    expect(verifier, 0, "\\boxed", "0.5");
    expect(verifier, 0, "\\boxed{}", "0.5");
    expect(verifier, 1, "It is\n#### 1/2", "0.5");
    expect(verifier, 1, "1/2", "0.5");
    expect(verifier, 0, "", "0.5");
    // An answer that cannot be parsed scores 0.
    expect(verifier, 0, "\\boxed{\\oint}", "0.5");
  }

  @Test
  void boxesMayHaveOtherForms() throws Exception {
    Verifier verifier = Verifiers.MATHEMATICAL;
    expect(verifier, 1, "So \\boxed 7", "7");
    expect(verifier, 1, "So $\\boxed 72$.", "72");
    expect(verifier, 1, "So \\(\\boxed-7\\).", "-7");
    expect(verifier, 1, "So \\boxed\\pi.", "\\pi");
    expect(verifier, 1, "So \\fbox{7}", "7");
    expect(verifier, 1, "So \\framebox{7}", "7");
    expect(verifier, 1, "So \\boxed{\\boxed{7}}", "7");
    expect(verifier, 1, "So \\boxed{\\{1,2\\}}", "1,2");
    expect(verifier, 1, "So \\boxed{a\\}}", "\\boxed{a\\}}");
    expect(verifier, 0, "So \\boxed7{8}", "8");
    expect(verifier, 0, "So \\boxedx{7}", "7");
    expect(verifier, 0, "So \\boxed{7} or so, no: \\boxed{", "7");
  }

  /** Boxes that only separators part are one answer, so that none of them counts alone. */
  @Test
  void adjacentBoxesAreOneAnswer() throws Exception {
    Verifier verifier = Verifiers.MATHEMATICAL;
    expect(verifier, 1, "$\\boxed{1}$ and $\\boxed{-2}$.", "-2,1");
    expect(verifier, 1, "\\[\\boxed{(1, 2)},\\quad \\boxed{(2, 1)}\\]", "(2,1),(1,2)");
    expect(verifier, 1, "$\\boxed{2} \\text{ or } \\boxed{3}$", "\\{2,3\\}");
    expect(verifier, 1, "\\boxed{x=1}, \\boxed{x=2}", "1,2");
    expect(verifier, 1, "\\boxed{5}, \\boxed{5}", "5");
    expect(verifier, 1, "\\boxed{5}. Again: \\boxed{6}", "6");
    expect(verifier, 0, "\\boxed{2} \\boxed{3}", "3");
    expect(verifier, 0, "\\boxed{2} or \\boxed{3}", "2");
    expect(verifier, 0, "\\boxed{1} and not \\boxed{2}", "1,2");
  }

  /** What stands in unfinished thinking is no answer. */
  @Test
  void thinkingIsNoAnswer() throws Exception {
    for (Verifier verifier : List.of(Verifiers.MATHEMATICAL, Verifiers.NUMERIC)) {
      expect(verifier, 1, "<think>#### 3</think>\n#### 5", "5");
      expect(verifier, 1, "#### 3</think>\n#### 5", "5");
      expect(verifier, 0, "<think>#### 5", "5");
      expect(verifier, 0, "<think>#### 5</think>", "5");
      expect(verifier, 0, "<think></think>#### 5 <think>#### 5", "5");
      expect(verifier, 0, "<think>#### 5</think>\n#### 3", "5");
    }
    expect(Verifiers.MATHEMATICAL, 0, "<think>\\boxed{5}", "5");
    expect(Verifiers.COUNTDOWN, 1, "<think>3+5</think> 3*5+9", "24 from 3 5 9");
    expect(Verifiers.COUNTDOWN, 0, "<think>3*5+9", "24 from 3 5 9");
  }

  @Test
  void sentencesCountIfAskedFor() throws Exception {
    Verifier verifier = Verifiers.MATHEMATICAL_SENTENCE;
    expect(verifier, 1, "So 3 + 4 = 7. The answer is 7.", "7");
    expect(verifier, 1, "The answer is 6. No, the answer is $7$. I hope it is correct.", "7");
    expect(verifier, 1, "**Final Answer**: The final answer is $\\frac{1}{2}$.", "0.5");
    expect(verifier, 1, "Answer: 1,234.50\n", "1234.5");
    expect(verifier, 1, "The answer is 6, so \\boxed{7}", "7");
    expect(verifier, 1, "#### 7\nThe answer is 6.", "7");
    expect(verifier, 1, "7", "7");
    expect(verifier, 0, "The answer is not 7.", "7");
    expect(verifier, 0, "The answer is 7 or 8.", "7");
    expect(verifier, 0, "<think>The answer is 7.", "7");
    expect(Verifiers.MATHEMATICAL, 0, "The answer is 7.", "7");
  }

  @Test
  void numbersOfACountdownAreUsedOnce() throws Exception {
    Verifier verifier = Verifiers.COUNTDOWN;
    String answer = "24 from 3 5 7 9";
    expect(verifier, 1, "(9-7)*(3*5-3)", "24 from 9 7 3 5 3");
    expect(verifier, 1, "3*5+9", answer);
    expect(verifier, 1, "So 9+3*5 = 24", answer);
    expect(verifier, 1, "(3 + 5) * (9 - 7) * 3/2", "24 from 3 5 9 7 3 2");
    expect(verifier, 0, "3*5+3+3+3", answer);
    expect(verifier, 0, "24", answer);
    expect(verifier, 0, "35-9", "26 from 3 5 9");
    expect(verifier, 0, "3*5+7", answer);
    expect(verifier, 0, "9/(3-3)", answer);
    expect(verifier, 0, "3*", answer);
    expect(verifier, 0, "", answer);
    assertThatThrownBy(() -> verifier.score("1", "24"))
        .isInstanceOf(IllegalArgumentException.class);
  }

  private static Score scored(double value) {
    return new Score(value, Outcome.SCORED);
  }

  @Test
  void crashesAndHangsScoreNothingAndAreCounted() {
    CountDownLatch never = new CountDownLatch(1);
    Verifier verifier =
        (response, answer) ->
            switch (response) {
              case "throw" -> throw new Exception("on purpose");
              case "overflow" -> overflow(0);
              case "nan" -> Double.NaN;
              case "infinite" -> 1 / 0.0;
              case "wait" -> {
                never.await();
                yield 1;
              }
              case "spin" -> {
                while (never.getCount() > 0) {
                  Thread.onSpinWait();
                }
                yield 1;
              }
              default -> response.equals(answer) ? 1 : 0;
            };
    try (BoundedVerifier bounded = new BoundedVerifier(verifier, Duration.ofMillis(300), 3)) {
      List<Attempt> requests = new ArrayList<>();
      for (String response :
          List.of("a", "throw", "spin", "overflow", "wait", "infinite", "nan", "b")) {
        requests.add(new Attempt(response, "a"));
      }
      List<Score> scores = bounded.scoreAll(requests);
      Score crashed = new Score(0, Outcome.CRASHED);
      Score late = new Score(0, Outcome.TIMED_OUT);
      assertThat(scores)
          .containsExactly(
              scored(1),
              crashed,
              late,
              crashed,
              late,
              crashed,
              new Score(Double.NaN, Outcome.MISSING),
              scored(0));
      assertThat(bounded.crashes()).isEqualTo(3);
      assertThat(bounded.timeouts()).isEqualTo(2);
      // Later calls are not affected.
      List<Attempt> many = Collections.nCopies(1000, new Attempt("a", "a"));
      assertThat(bounded.scoreAll(many)).containsOnly(scored(1)).hasSize(1000);
      never.countDown();
    }
  }

  /** A call that times out just as it ends does not interrupt the next call in its thread. */
  @Test
  void anInterruptionReachesNoOtherCall() {
    Verifier sleeps =
        (response, answer) -> {
          if (response.equals("late")) {
            long end = System.nanoTime() + 1_000_000;
            while (System.nanoTime() < end) {
              Thread.onSpinWait();
            }
          }
          Thread.sleep(0);
          return 1;
        };
    try (BoundedVerifier bounded = new BoundedVerifier(sleeps, Duration.ofMillis(1), 4)) {
      List<Attempt> requests = new ArrayList<>();
      for (int i = 0; i < 120; i++) {
        requests.add(new Attempt(i % 2 == 0 ? "late" : "soon", ""));
      }
      // Calls may time out, but none of them fails.
      assertThat(bounded.scoreAll(requests)).noneMatch(score -> score.outcome() == Outcome.CRASHED);
      assertThat(bounded.crashes()).isZero();
    }
  }

  private static double overflow(int depth) {
    return overflow(depth + 1) + 1;
  }

  @Test
  void oneThatAlwaysHangsIsNotCalledForever() {
    CountDownLatch never = new CountDownLatch(1);
    Verifier stuck =
        (response, answer) -> {
          while (never.getCount() > 0) {
            Thread.onSpinWait();
            Thread.yield();
          }
          return 1;
        };
    try (BoundedVerifier bounded = new BoundedVerifier(stuck, Duration.ofMillis(1), 8)) {
      List<Attempt> many = Collections.nCopies(1000, new Attempt("a", "a"));
      assertThatThrownBy(() -> bounded.scoreAll(many))
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("it hangs");
      never.countDown();
    }
    assertThatThrownBy(() -> new BoundedVerifier(stuck, Duration.ZERO, 8))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
