package org.threegate.report;

import java.util.List;
import java.util.function.Function;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.study.Mean;
import org.threegate.analysis.study.StudyClaim;
import org.threegate.analysis.study.StudyResult;
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
        "%-38s  %-13s  %-15s  %-15s  %-9s  %s",
        "run", "pass@1", "KL per token", "sparsity (null)", "|dW|/|W0|", "coherence");
    Mean base = report.result().base().mean();
    out.line("%-38s  %.3f ± %.3f", "base", base.value(), base.se());
    for (StudyResult.Variation variation : report.result().variations()) {
      Mean own = variation.base().mean();
      if (!own.equals(base)) {
        out.line(
            "%-38s  %.3f ± %.3f",
            PrintableText.of("base, " + variation.title()), own.value(), own.se());
      }
    }
    for (List<StudyRun> runs : report.result().arms()) {
      out.line(
          "%-38s  %s  %s  %.3f (%.3f)    %.2e   %s",
          PrintableText.of(title(runs)),
          value("%.3f", runs, run -> run.behaviour().stored().mean()),
          value("%.4f", runs, run -> run.behaviour().klPerToken()),
          mean(runs, run -> run.update().totals().sparsity()),
          mean(runs, run -> run.update().sparsityPermuted().mean()),
          mean(runs, run -> run.update().totals().relativeFrobenius()),
          Double.isNaN(mean(runs, run -> run.update().coherence()))
              ? "-"
              : TextLines.text("%.2f", mean(runs, run -> run.update().coherence())));
    }
    out.sentence(
        0,
        "Means over seeds, whose number is in brackets. pass@1 and KL: ± standard error between seeds; for a single seed that of its sample. Sparsity: in brackets, the same update at random places. A dash as coherence: it is not defined for this way of training.");
    patches(out, report);
    out.blank();
    out.sentence(
        0,
        "Claims. Each is compared with its null models or with matched controls. Runs of other seeds are the replicates of comparisons between ways of training.");
    for (StudyClaim claim : report.claims()) {
      out.sentence(4, "[%s] %s (%s)", claim.verdict().label(), claim.statement(), claim.source());
      out.sentence(4, "    %s", claim.seen());
    }
    return out.toString();
  }

  private static String title(List<StudyRun> runs) {
    return runs.get(0).recipe().title() + " (" + runs.size() + ")";
  }

  private static double mean(List<StudyRun> runs, ToDoubleFunction<StudyRun> measure) {
    return runs.stream().mapToDouble(measure).average().orElse(Double.NaN);
  }

  private static String value(String format, List<StudyRun> runs, Function<StudyRun, Mean> of) {
    Mean mean =
        runs.size() == 1
            ? of.apply(runs.get(0))
            : Mean.of(runs.stream().mapToDouble(run -> of.apply(run).value()).toArray());
    return TextLines.text(format + " ± " + format, mean.value(), mean.se());
  }

  /** Adds the sizes of patches, as means over the measured steps. */
  private static void patches(TextLines out, StudyReport report) {
    out.blank();
    out.sentence(
        0,
        "Size of the patch of one step, mean over the measured steps. Random: bytes that the positions need if all choices of that many elements are equally likely.");
    out.line("%-38s  %-10s  %-9s  %-9s  %s", "run", "changed", "bytes", "of model", "random");
    for (List<StudyRun> runs : report.result().arms()) {
      List<StudyRun.PatchSize> patches =
          runs.stream().flatMap(run -> run.patches().stream()).toList();
      double steps = patches.size();
      double changed = patches.stream().mapToLong(StudyRun.PatchSize::changed).sum();
      double elements = patches.stream().mapToLong(StudyRun.PatchSize::elements).sum();
      double bytes = patches.stream().mapToLong(StudyRun.PatchSize::bytes).sum();
      double model = patches.stream().mapToLong(StudyRun.PatchSize::modelBytes).sum();
      double chance = patches.stream().mapToDouble(StudyRun.PatchSize::positionEntropyBytes).sum();
      if (steps > 0) {
        out.line(
            "%-38s  %-10s  %-9.0f  %-9s  %.0f",
            PrintableText.of(title(runs)),
            TextLines.text("%.2f %%", 100 * changed / elements),
            bytes / steps,
            TextLines.text("%.2f %%", 100 * bytes / model),
            chance / steps);
      }
    }
  }
}
