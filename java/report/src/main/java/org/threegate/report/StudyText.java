package org.threegate.report;

import org.threegate.analysis.study.Mean;
import org.threegate.analysis.study.StudyClaim;
import org.threegate.analysis.study.StudyRun;
import org.threegate.run.PrintableText;

/**
 * Renders the summary of a study for a terminal.
 *
 * <pre>{@code
 * System.out.print(StudyText.render(studyReport));
 * }</pre>
 */
public final class StudyText {
  private StudyText() {}

  /**
   * Renders a summary for output that is not a terminal: nothing is wrapped.
   *
   * @param report report to render
   * @return lines of text
   */
  public static String render(StudyReport report) {
    return render(report, TextLines.UNLIMITED);
  }

  /**
   * Renders a summary.
   *
   * @param report report to render
   * @param width columns of the terminal; sentences are wrapped to it, rows of tables are not
   * @return lines of text
   */
  public static String render(StudyReport report, int width) {
    TextLines out = new TextLines(width);
    out.line(
        "%-30s  %-13s  %-15s  %-15s  %-9s  %s",
        "run", "pass@1", "KL per token", "sparsity (null)", "|dW|/|W0|", "coherence");
    Mean base = report.result().base().mean();
    out.line("%-30s  %.3f ± %.3f", "base", base.value(), base.se());
    for (StudyRun run : report.result().runs()) {
      out.line(
          "%-30s  %.3f ± %.3f  %.4f ± %.4f  %.3f (%.3f)    %.2e   %s",
          PrintableText.of(run.title()),
          run.behaviour().stored().mean().value(),
          run.behaviour().stored().mean().se(),
          run.behaviour().klPerToken().value(),
          run.behaviour().klPerToken().se(),
          run.update().totals().sparsity(),
          run.update().sparsityPermuted().mean(),
          run.update().totals().relativeFrobenius(),
          Double.isNaN(run.update().coherence())
              ? "-"
              : TextLines.text("%.2f", run.update().coherence()));
    }
    out.sentence(
        0,
        "pass@1 and KL: value ± standard error. Sparsity: in brackets, the same update at random places. A dash as coherence: it is not defined for this run.");
    patches(out, report);
    out.blank();
    out.sentence(0, "Claims. Each is compared with its null model or with a matched control.");
    for (StudyClaim claim : report.claims()) {
      out.sentence(4, "[%s] %s (%s)", claim.verdict().label(), claim.statement(), claim.source());
      out.sentence(4, "    %s", claim.seen());
    }
    return out.toString();
  }

  /** Adds the sizes of patches, as means over the measured steps. */
  private static void patches(TextLines out, StudyReport report) {
    out.blank();
    out.sentence(
        0,
        "Size of the patch of one step, mean over the measured steps. Random: bytes that the positions need if all choices of that many elements are equally likely.");
    out.line("%-30s  %-10s  %-9s  %-9s  %s", "run", "changed", "bytes", "of model", "random");
    for (StudyRun run : report.result().runs()) {
      double steps = run.patches().size();
      double changed = run.patches().stream().mapToLong(StudyRun.PatchSize::changed).sum();
      double elements = run.patches().stream().mapToLong(StudyRun.PatchSize::elements).sum();
      double bytes = run.patches().stream().mapToLong(StudyRun.PatchSize::bytes).sum();
      double model = run.patches().stream().mapToLong(StudyRun.PatchSize::modelBytes).sum();
      double chance =
          run.patches().stream().mapToDouble(StudyRun.PatchSize::positionEntropyBytes).sum();
      if (steps > 0) {
        out.line(
            "%-30s  %-10s  %-9.0f  %-9s  %.0f",
            PrintableText.of(run.title()),
            TextLines.text("%.2f %%", 100 * changed / elements),
            bytes / steps,
            TextLines.text("%.2f %%", 100 * bytes / model),
            chance / steps);
      }
    }
  }
}
