package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.testing.NativeLeaks;

/** Tests {@code calibrate} on one matrix of the sample. */
@ExtendWith(NativeLeaks.class)
class CalibrateCommandTest {
  private static final Object[] SMALL = {
    "calibrate", "--layers", 1, "--side", 24, "--include", "q_proj"
  };

  @TempDir Path directory;

  private static CommandRun run(Object... more) {
    return CommandRun.of(Stream.concat(Stream.of(SMALL), Stream.of(more)).toArray());
  }

  @Test
  void theSampleIsCalibrated() {
    CommandRun run = run();
    assertThat(run.err()).isEmpty();
    assertThat(run.code()).isZero();
    assertThat(run.out())
        .startsWith("base  the embedded sample")
        .contains("1 matrices of 1 layers; updates of each kind: 1")
        .contains("runs-shared-set", "false verdicts, 95 %", "avoids-principal-weights ")
        .contains("(named: dtype)")
        .contains("False verdicts on updates without an effect: ");
  }

  @Test
  void theDocumentAddsUp() throws IOException {
    CommandRun run = run("--json", "--seeds", 2, "--threads", 2, "--smallest-ratio", 1.5);
    assertThat(run.code()).as(run.err()).isZero();
    JsonNode report = new ObjectMapper().readTree(run.out());
    assertThat(report.path("command").toString()).contains("--smallest-ratio\",\"1.5");
    long wrong = 0;
    long all = 0;
    for (JsonNode rate : report.path("falseByClaim")) {
      wrong += rate.path("count").asLong();
      all += rate.path("of").asLong();
    }
    assertThat(report.path("falseVerdicts").path("count").asLong()).isEqualTo(wrong);
    assertThat(report.path("falseVerdicts").path("of").asLong()).isEqualTo(all).isPositive();
    long planted = 0;
    for (JsonNode update : report.path("updates")) {
      boolean nothing = update.path("planted").isEmpty();
      assertThat(update.path("falseVerdicts").isNull()).isEqualTo(!nothing);
      assertThat(update.path("found").isNull()).isEqualTo(nothing);
      planted += 2L * update.path("planted").size();
    }
    assertThat(report.path("found").path("of").asLong()).isEqualTo(planted);
  }

  @Test
  void wrongInputIsRefused() throws IOException {
    run(directory.resolve("none")).assertRefused("no such file");
    run("--seeds", 0).assertRefused("--seeds", "at least 1");
    CommandRun.of("calibrate", "--side", 3).assertRefused("--side", "at least 16");
    run("--exclude", "q_proj").assertRefused("no selected layer");
    run("--smallest-ratio", 0.5).assertRefused("--smallest-ratio");
    Path broken = Files.writeString(directory.resolve("broken.safetensors"), "no weights");
    run(broken).assertRefused("broken.safetensors");
  }
}
