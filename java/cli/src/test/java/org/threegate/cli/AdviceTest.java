package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Remedy;

/** Remedies that libraries name become options of the command line. */
class AdviceTest {
  @ParameterizedTest
  @CsvSource({
    "RESUME, the same command with --resume goes on",
    "START_AGAIN, leave out --resume to begin anew",
    "NAME_INITIAL_ADAPTER, name the adapter as it was before training with --initial-adapter",
    "LEAVE_OUT_INITIAL_ADAPTER, 'leave out --initial-adapter, which is of one'",
    "CHOOSE_NEW_DIRECTORY, name a new directory with --out",
    "ACCEPT_WITHOUT_DIGESTS, --without-digests takes it all the same",
    "WRITE_ELSEWHERE, 'copy the model, or use --out'"
  })
  void remediesBecomeOptions(Remedy remedy, String words) {
    assertThat(Advice.message(new InvalidInputException("x: is wrong", remedy)))
        .isEqualTo("x: is wrong; " + words);
  }

  @ParameterizedTest
  @EnumSource(Remedy.class)
  void librariesNameNoOptions(Remedy remedy) {
    InvalidInputException e = new InvalidInputException("x: is wrong", remedy);
    assertThat(e).hasMessage("x: is wrong; " + remedy.words());
    assertThat(remedy.words()).doesNotContain("--");
    assertThat(e.withProblem("y").remedy()).contains(remedy);
  }

  @Test
  void settingsOfSparkBecomeOptions() {
    assertThat(
            Advice.message(
                new InvalidInputException(
                    "have all run the lower level with spark.executorEnv.THREEGATE_SIMD=LEVEL")))
        .isEqualTo(
            "have all run the lower level with"
                + " --spark-conf spark.executorEnv.THREEGATE_SIMD=LEVEL");
    assertThat(Advice.settings("give executors more, spark.executor.memoryOverhead"))
        .isEqualTo("give executors more, spark.executor.memoryOverhead");
    assertThat(Advice.settings("--spark-conf=spark.x=1")).isEqualTo("--spark-conf=spark.x=1");
  }
}
