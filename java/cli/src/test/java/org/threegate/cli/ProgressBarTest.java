package org.threegate.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.threegate.cli.ProgressBar.State;

class ProgressBarTest {
  @Test
  void saysHowFarHowFastAndHowLong() {
    assertThat(ProgressBar.line(new State("w", 1_500_000_000, 6_000_000_000L), 0.5, true))
        .isEqualTo("[######                  ]  25 %  1.5 of 6.0 GB  3.0 GB/s  ETA 00:02  w");
    assertThat(ProgressBar.line(new State("", 6_000_000_000L, 6_000_000_000L), 90, true))
        .isEqualTo("[########################] 100 %  6.0 of 6.0 GB  0.1 GB/s  ETA 00:00  ");
  }

  @Test
  void knowsNothingAtTheBeginning() {
    assertThat(ProgressBar.line(new State("", 0, 0), 1, true)).isEmpty();
    assertThat(ProgressBar.line(new State("w", 0, 280_000_000_000L), 1, true))
        .contains("  0 %", "ETA --:--");
  }

  @Test
  void workOtherThanBytesHasNoRate() {
    assertThat(ProgressBar.line(new State("w", 1, 4), 2, false))
        .isEqualTo("[######                  ]  25 %  ETA 00:06  w");
  }

  @Test
  void aLongNameIsCut() {
    String name = "model.layers.10.block_sparse_moe.experts.127.gate_up_proj.weight";
    String line = ProgressBar.line(new State(name, 1, 2), 7200, true);
    assertThat(line).endsWith(name.substring(0, 40));
    assertThat(line).contains("ETA 120:00");
  }
}
