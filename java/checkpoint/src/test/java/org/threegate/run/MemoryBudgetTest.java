package org.threegate.run;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Collections;
import java.util.List;
import org.junit.jupiter.api.Test;

class MemoryBudgetTest {
  private static final long GIGABYTE = 1L << 30;

  private static List<MemoryBudget.Item> items(int count, double cost, long bytes) {
    return Collections.nCopies(count, new MemoryBudget.Item("q_proj", cost, bytes));
  }

  @Test
  void threadsItemsAndMemoryBoundHowManyRunAtOnce() {
    MemoryBudget budget = MemoryBudget.ofBytes(8 * GIGABYTE);
    assertThat(budget.atOnce(2, items(100, 1, GIGABYTE))).isEqualTo(2);
    assertThat(budget.atOnce(64, items(100, 1, GIGABYTE))).isEqualTo(8);
    assertThat(budget.atOnce(64, items(3, 1, GIGABYTE))).isEqualTo(3);
    assertThat(budget.atOnce(64, items(100, 1, 8 * GIGABYTE))).isEqualTo(1);
    assertThat(budget.atOnce(64, List.of())).isEqualTo(1);
    assertThat(budget.atOnce(64, items(10, 0, 1))).isEqualTo(10);
  }

  @Test
  void noMoreRunThanWouldWaitForTheLongest() {
    List<MemoryBudget.Item> items =
        List.of(
            new MemoryBudget.Item("embedding", 10, 1),
            new MemoryBudget.Item("a", 5, 1),
            new MemoryBudget.Item("b", 5, 1),
            new MemoryBudget.Item("c", 5, 1));
    assertThat(MemoryBudget.ofBytes(GIGABYTE).atOnce(64, items)).isEqualTo(3);
  }

  @Test
  void onlyABudgetThatWasChosenRefuses() {
    assertThatThrownBy(() -> MemoryBudget.ofBytes(GIGABYTE).atOnce(4, items(1, 1, 2 * GIGABYTE)))
        .isInstanceOf(InvalidInputException.class)
        .hasMessage(
            "q_proj needs about 2,148 MB of memory, and 1,073 MB are allowed; allow more, or leave it"
                + " out");
    assertThat(new MemoryBudget(GIGABYTE, false).atOnce(4, items(4, 1, 2 * GIGABYTE))).isEqualTo(1);
    assertThat(MemoryBudget.ofMachine().bytes()).isGreaterThan(1 << 20);
    assertThatThrownBy(() -> MemoryBudget.ofBytes(0)).isInstanceOf(IllegalArgumentException.class);
  }
}
