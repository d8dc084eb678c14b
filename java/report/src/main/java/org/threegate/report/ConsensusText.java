package org.threegate.report;

import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;

/**
 * The summary that a terminal shows.
 *
 * <pre>{@code
 * System.out.print(ConsensusText.render(consensusReport));
 * }</pre>
 */
public final class ConsensusText {
  private ConsensusText() {}

  /** Text of several lines. */
  public static String render(ConsensusReport report) {
    StringBuilder out = new StringBuilder();
    ShownText.line(out, "base   %s", report.base());
    for (int i = 0; i < report.runs().size(); i++) {
      ShownText.line(out, "run %-2d %s", i + 1, report.runs().get(i));
    }
    ShownText.line(out, "");
    for (Finding finding : report.findings()) {
      ShownText.line(out, "[%s] %s", finding.verdict().label(), finding.text());
    }
    ShownText.line(out, "");
    ShownText.line(
        out, "%-10s %9s %12s %20s %9s", "runs", "Jaccard", "independent", "magnitude ± sd", "z");
    List<Agreement> pairs = report.pairs();
    for (int i = 0; i < report.runs().size(); i++) {
      for (int j = i + 1; j < report.runs().size(); j++) {
        agreement(out, (i + 1) + ", " + (j + 1), pairs.get(report.pairIndex(i, j)));
      }
    }
    for (Map.Entry<String, Agreement> kind : report.byKind().entrySet()) {
      agreement(out, kind.getKey(), kind.getValue());
    }
    ShownText.line(out, "");
    ShownText.line(out, "entries that so many runs change, and the same if only magnitude decided");
    double[][] changedByRuns = report.changedByRuns();
    for (int i = 0; i < changedByRuns[0].length; i++) {
      ShownText.line(out, "  %2d  %8.4f  %8.4f", i, changedByRuns[0][i], changedByRuns[1][i]);
    }
    trajectory(out, report);
    return out.toString();
  }

  private static void agreement(StringBuilder out, String name, Agreement agreement) {
    ShownText.line(
        out,
        "%-10s %9.4f %12.4f %11.4f ± %.4f %9.1f",
        name,
        agreement.jaccard(),
        agreement.bernoulliJaccard(),
        agreement.magnitudeJaccard(),
        agreement.magnitudeSd(),
        agreement.magnitudeZ());
  }

  private static void trajectory(StringBuilder out, ConsensusReport report) {
    if (report.steps().length == 0) {
      return;
    }
    ShownText.line(out, "");
    ShownText.line(out, "along the run (medians over matrices; nulls in brackets)");
    ShownText.line(
        out,
        "%8s %9s %11s %23s %23s %20s %17s",
        "step",
        "sparsity",
        "|dW|/|W0|",
        "NSS",
        "largest angle",
        "locking (walk)",
        "rows (beyond |w|)");
    for (StepSummary step : report.stepSummaries()) {
      ShownText.line(
          out,
          "%8.0f %9.4f %11.3e %10.3e (%.3e) %10.3e (%.3e) %9.3f (%s) %9.3f (%.3f)",
          step.step(),
          step.sparsity(),
          step.relativeFrobenius(),
          step.nss(),
          step.nssNull(),
          step.angle(),
          step.angleNull(),
          step.locking(),
          Double.isNaN(step.lockingWalk())
              ? "-"
              : String.format(Locale.ROOT, "%.3f", step.lockingWalk()),
          step.rowStability(),
          step.rowStabilityBeyondMagnitude());
    }
    double[] linearity =
        report.trajectory().stream().mapToDouble(TensorTrajectory::linearity).sorted().toArray();
    double[] walk =
        report.trajectory().stream()
            .mapToDouble(TensorTrajectory::walkLinearity)
            .sorted()
            .toArray();
    ShownText.line(
        out,
        "weights against step: R² of straight lines %.4f, of a random walk %.4f (medians)",
        linearity[linearity.length / 2],
        walk[walk.length / 2]);
  }
}
