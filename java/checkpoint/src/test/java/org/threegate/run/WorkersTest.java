package org.threegate.run;

import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Tests the limits of pools of workers. */
class WorkersTest {
  @ParameterizedTest
  @ValueSource(ints = {0, -1, Integer.MIN_VALUE, Integer.MAX_VALUE})
  void aPoolHasAPlausibleNumberOfThreads(int count) {
    assertThatThrownBy(() -> Workers.onCpu(count, "never"))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(count + " threads; allowed are 1 to 1024");
  }
}
