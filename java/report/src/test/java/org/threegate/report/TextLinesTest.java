package org.threegate.report;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class TextLinesTest {
  private static final int WIDTH = 30;

  @Test
  void sentencesAreWrappedBetweenWordsAndRowsAreNot() {
    TextLines out = new TextLines(WIDTH);
    out.sentence(4, "  [supported] The update prefers %s weights", "small");
    out.line("%-30s  %s", "a row of a table", "that is wider");
    assertThat(out.toString().lines())
        .containsExactly(
            "  [supported] The update",
            "    prefers small weights",
            "a row of a table                that is wider");
  }

  @Test
  void aWordThatIsLongerThanALineStaysWhole() {
    String word = "x".repeat(2 * WIDTH);
    TextLines out = new TextLines(WIDTH);
    out.sentence(2, "%s", word);
    out.sentence(2, "a %s b", word);
    assertThat(out.toString().lines()).containsExactly(word, "a", "  " + word, "  b");
  }

  @Test
  void everyWordOfASummaryIsKept() {
    ComparisonReport report = HostileReports.comparison(List.of("first", "second"));
    String wide = TerminalReport.render(report);
    String narrow = TerminalReport.render(report, WIDTH);
    assertThat(narrow.split("\\s+")).containsExactly(wide.split("\\s+"));
    assertThat(narrow.lines().count()).isGreaterThan(wide.lines().count());
  }
}
