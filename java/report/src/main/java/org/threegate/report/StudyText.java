package org.threegate.report;

import java.util.Locale;
import org.threegate.analysis.study.Mean;
import org.threegate.analysis.study.StudyClaim;
import org.threegate.analysis.study.StudyRun;
import org.threegate.run.PrintableText;

/**
 * A study for a terminal.
 *
 * <pre>{@code
 * System.out.print(StudyText.render(studyReport));
 * }</pre>
 */
public final class StudyText {
  private StudyText() {}

  /** Runs, then claims with their verdicts. */
  public static String render(StudyReport report) {
    StringBuilder text = new StringBuilder();
    ShownText.line(
        text,
        "%-30s  %-13s  %-15s  %-15s  %-9s  %s",
        "run",
        "pass@1",
        "KL a token",
        "sparsity (null)",
        "|dW|/|W0|",
        "coherence");
    Mean base = report.result().base().mean();
    ShownText.line(text, "%-30s  %.3f ± %.3f", "base", base.value(), base.se());
    for (StudyRun run : report.result().runs()) {
      ShownText.line(
          text,
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
              : String.format(Locale.ROOT, "%.2f", run.update().coherence()));
    }
    patches(text, report);
    text.append("\nclaims, each against its null model or its matched control\n");
    for (StudyClaim claim : report.claims()) {
      ShownText.line(
          text, "[%s] %s (%s)", claim.verdict().label(), claim.statement(), claim.source());
      ShownText.line(text, "    %s", claim.seen());
    }
    return text.toString();
  }

  /** Means over the steps that were measured. */
  private static void patches(StringBuilder text, StudyReport report) {
    text.append("\nwhat a step takes to send, beside the whole model\n");
    ShownText.line(
        text,
        "%-30s  %-10s  %-9s  %-9s  %s",
        "run",
        "changed",
        "bytes",
        "of model",
        "bytes of the choice of so many elements by chance");
    for (StudyRun run : report.result().runs()) {
      double steps = run.patches().size();
      double changed = run.patches().stream().mapToLong(StudyRun.PatchSize::changed).sum();
      double elements = run.patches().stream().mapToLong(StudyRun.PatchSize::elements).sum();
      double bytes = run.patches().stream().mapToLong(StudyRun.PatchSize::bytes).sum();
      double model = run.patches().stream().mapToLong(StudyRun.PatchSize::modelBytes).sum();
      double chance =
          run.patches().stream().mapToDouble(StudyRun.PatchSize::positionEntropyBytes).sum();
      if (steps > 0) {
        ShownText.line(
            text,
            "%-30s  %-10s  %-9.0f  %-9s  %.0f",
            PrintableText.of(run.title()),
            String.format(Locale.ROOT, "%.2f %%", 100 * changed / elements),
            bytes / steps,
            String.format(Locale.ROOT, "%.2f %%", 100 * bytes / model),
            chance / steps);
      }
    }
  }
}
