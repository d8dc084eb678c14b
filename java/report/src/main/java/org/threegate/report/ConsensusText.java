package org.threegate.report;

import java.util.List;
import java.util.Map;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;

/**
 * Renders the summary of a consensus for a terminal.
 *
 * <pre>{@code
 * System.out.print(ConsensusText.render(consensusReport));
 * }</pre>
 */
public final class ConsensusText {
  private ConsensusText() {}

  /**
   * Renders a summary for output that is not a terminal: nothing is wrapped.
   *
   * @param report report to render
   * @return lines of text
   */
  public static String render(ConsensusReport report) {
    return render(report, TextLines.UNLIMITED);
  }

  /**
   * Renders a summary.
   *
   * @param report report to render
   * @param width columns of the terminal; sentences are wrapped to it, rows of tables are not
   * @return lines of text
   */
  public static String render(ConsensusReport report, int width) {
    TextLines out = new TextLines(width);
    out.line("base   %s", report.base());
    for (int i = 0; i < report.runs().size(); i++) {
      out.line("run %-2d %s", i + 1, report.runs().get(i));
    }
    out.sentence(4, "%s", report.coverage().line());
    report.coverage().caveat().ifPresent(caveat -> out.sentence(4, "%s", caveat));
    out.blank();
    for (Finding finding : report.findings()) {
      out.sentence(4, "[%s] %s", finding.verdict().label(), finding.text());
    }
    out.blank();
    out.line("%-10s %9s %12s %20s %9s", "runs", "Jaccard", "independent", "magnitude ± sd", "z");
    List<Agreement> pairs = report.pairs();
    for (int i = 0; i < report.runs().size(); i++) {
      for (int j = i + 1; j < report.runs().size(); j++) {
        agreement(out, (i + 1) + ", " + (j + 1), pairs.get(report.pairIndex(i, j)));
      }
    }
    for (Map.Entry<String, Agreement> kind : report.byKind().entrySet()) {
      agreement(out, kind.getKey(), kind.getValue());
    }
    out.blank();
    out.sentence(
        0,
        "Share of entries by the number of runs that change them: observed, and expected for changes that depend on magnitudes only.");
    double[][] changedByRuns = report.changedByRuns();
    for (int i = 0; i < changedByRuns[0].length; i++) {
      out.line("  %2d  %8.4f  %8.4f", i, changedByRuns[0][i], changedByRuns[1][i]);
    }
    trajectory(out, report);
    out.blank();
    Account.missing(out, "base", report.coverage().base());
    for (int i = 0; i < report.runs().size(); i++) {
      Account.missing(
          out, "run " + (i + 1), report.coverage().runs().get(i), report.coverage().base());
    }
    return out.toString();
  }

  private static void agreement(TextLines out, String name, Agreement agreement) {
    out.line(
        "%-10s %9.4f %12.4f %11.4f ± %.4f %9.1f",
        name,
        agreement.jaccard(),
        agreement.bernoulliJaccard(),
        agreement.magnitudeJaccard(),
        agreement.magnitudeSd(),
        agreement.magnitudeZ());
  }

  private static void trajectory(TextLines out, ConsensusReport report) {
    if (report.steps().length == 0) {
      return;
    }
    out.blank();
    out.sentence(
        0,
        "Along the run: medians over matrices, with null models in brackets. A dash: not defined, as the random walk of the last step.");
    out.line(
        "%8s %9s %11s %23s %23s %20s %17s",
        "step",
        "sparsity",
        "|dW|/|W0|",
        "NSS",
        "largest angle",
        "locking (walk)",
        "rows (beyond |w|)");
    for (StepSummary step : report.stepSummaries()) {
      out.line(
          "%8.0f %9.4f %11.3e %10.3e (%.3e) %10.3e (%.3e) %9.3f (%s) %9.3f (%.3f)",
          step.step(),
          step.sparsity(),
          step.relativeFrobenius(),
          step.nss(),
          step.nssNull(),
          step.angle(),
          step.angleNull(),
          step.locking(),
          TextLines.text("%.3f", step.lockingWalk()),
          step.rowStability(),
          step.rowStabilityBeyondMagnitude());
    }
    out.sentence(
        4,
        "Linearity: R² of weights as straight lines over steps is %.4f; for a random walk it is %.4f (medians over matrices).",
        median(report, TensorTrajectory::linearity),
        median(report, TensorTrajectory::walkLinearity));
  }

  /** Returns the median over the matrices whose measure is defined; NaN if there are none. */
  private static double median(ConsensusReport report, ToDoubleFunction<TensorTrajectory> measure) {
    double[] defined =
        report.trajectory().stream()
            .mapToDouble(measure)
            .filter(Double::isFinite)
            .sorted()
            .toArray();
    return defined.length == 0 ? Double.NaN : defined[defined.length / 2];
  }
}
