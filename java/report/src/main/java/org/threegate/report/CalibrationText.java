package org.threegate.report;

import java.util.TreeMap;
import java.util.stream.Collectors;
import org.threegate.analysis.calibration.CalibrationResult;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.Proportion;

/**
 * Renders a calibration for a terminal.
 *
 * <pre>{@code
 * System.out.print(CalibrationText.render(calibrationReport));
 * }</pre>
 */
public final class CalibrationText {
  private static final double LEVEL = 0.95;

  private CalibrationText() {}

  /**
   * Renders a summary for output that is not a terminal: nothing is wrapped.
   *
   * @param report report to render
   * @return lines of text
   */
  public static String render(CalibrationReport report) {
    return render(report, TextLines.UNLIMITED);
  }

  /**
   * Renders a summary.
   *
   * @param report report to render
   * @param width columns of the terminal; sentences are wrapped to it, rows of tables are not
   * @return lines of text
   */
  public static String render(CalibrationReport report, int width) {
    TextLines out = new TextLines(width);
    CalibrationResult result = report.result();
    out.line("base  %s", report.base());
    out.line(
        "%d matrices of %d layers; updates of each kind: %d",
        result.matrices(), result.layers(), result.seeds());
    result.skipped().forEach((name, why) -> out.line("left out: %s %s", name, why));
    out.blank();
    out.line("%-20s %-24s %s", "no effect", "false verdicts, 95 %", "what it is");
    result.rows().stream()
        .filter(row -> row.truth().isNothing())
        .forEach(
            row ->
                out.line(
                    "%-20s %-24s %s",
                    row.update(), rate(row.falseVerdicts()), row.description() + named(row)));
    out.blank();
    out.line("%-20s %-24s %s", "planted effect", "found, 95 %", "what it is");
    result.rows().stream()
        .filter(row -> !row.truth().isNothing())
        .forEach(
            row ->
                out.line(
                    "%-20s %-24s %s",
                    row.update(), rate(row.found()), row.description() + expected(row)));
    out.blank();
    out.line("%-32s %s", "claim", "false verdicts, 95 %");
    for (String claim : result.claims()) {
      out.line("%-32s %s", claim, rate(result.falseVerdicts(claim)));
    }
    out.blank();
    out.sentence(
        0,
        "False verdicts on updates without an effect: %s. Planted effects that were found: %s.",
        rate(result.falseVerdicts()),
        rate(result.found()));
    return out.toString();
  }

  private static String named(CalibrationResult.Row row) {
    return row.causes().isEmpty()
        ? ""
        : " (named: " + String.join(", ", row.causes().keySet()) + ")";
  }

  private static String expected(CalibrationResult.Row row) {
    return " ("
        + new TreeMap<>(row.truth().planted())
            .entrySet().stream()
                .map(entry -> entry.getKey() + " " + entry.getValue().label())
                .collect(Collectors.joining(", "))
        + ")";
  }

  private static String rate(Proportion proportion) {
    ClusteredMean.Interval interval = proportion.interval(LEVEL);
    return TextLines.text(
        "%d of %d, %.0f to %.0f %%",
        proportion.count(), proportion.trials(), 100 * interval.low(), 100 * interval.high());
  }
}
