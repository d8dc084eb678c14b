package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Remedy;

/** Verifies that the command line turns remedies named by libraries into options. */
class AdviceTest {
  @ParameterizedTest
  @CsvSource({
    "RESUME, run the same command with --resume to continue",
    "START_AGAIN, leave out --resume to start again",
    "NAME_INITIAL_ADAPTER, pass the adapter from before training with --initial-adapter",
    "LEAVE_OUT_INITIAL_ADAPTER, 'leave out --initial-adapter, which only applies to an adapter'",
    "DIGEST_OF_TENSORS, use --digest tensors or --digest none",
    "CHOOSE_NEW_DIRECTORY, choose a new directory with --out",
    "ACCEPT_WITHOUT_DIGESTS, --without-digests accepts it without verification",
    "WRITE_ELSEWHERE, 'copy the model, or write a new one with --out'"
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
