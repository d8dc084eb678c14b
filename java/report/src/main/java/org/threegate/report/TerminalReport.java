package org.threegate.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import org.threegate.analysis.diff.HeadCount;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.RatioProfile;
import org.threegate.analysis.statistics.Totals;
import org.threegate.checkpoint.Identity;

/**
 * Renders the summary of a comparison for a terminal.
 *
 * <pre>{@code
 * System.out.print(TerminalReport.render(report));
 * }</pre>
 */
public final class TerminalReport {
  private static final int WIDEST = 5;
  private static final int MOST_NAMES = 5;
  private static final int SMALLEST_PROFILE = 16;

  private TerminalReport() {}

  /**
   * Renders a summary for output that is not a terminal: nothing is wrapped.
   *
   * @param report report to render
   * @return lines of text
   */
  public static String render(ComparisonReport report) {
    return render(report, TextLines.UNLIMITED);
  }

  /**
   * Renders a summary.
   *
   * @param report report to render
   * @param width columns of the terminal; sentences are wrapped to it, rows of tables are not
   * @return lines of text
   */
  public static String render(ComparisonReport report, int width) {
    TextLines out = new TextLines(width);
    Totals totals = report.totals();
    out.line("base   %s", report.base().path());
    files(out, report.base().identity());
    out.line("tuned  %s", report.tuned().path());
    files(out, report.tuned().identity());
    out.sentence(4, "%s", report.coverage().line());
    report.coverage().caveat().ifPresent(caveat -> out.sentence(4, "%s", caveat));
    out.sentence(
        4,
        "%,d of %,d entries in %d tensors changed in bf16: sparsity %.4f (exact counts)",
        totals.counts().changed(),
        totals.counts().total(),
        report.tensors().size(),
        totals.sparsity());
    out.sentence(
        4,
        "%,d changed as stored, %,d of them hidden by bf16 (%.1f %%); |dW|/|W0| = %.3e",
        totals.counts().changedStored(),
        totals.counts().hidden(),
        totals.counts().changedStored() == 0
            ? 0
            : 100.0 * totals.counts().hidden() / totals.counts().changedStored(),
        totals.relativeFrobenius());
    if (totals.counts().nonFinite() > 0) {
      out.line("%,d entries are not finite and are left out of norms", totals.counts().nonFinite());
    }
    findings(out, report);
    table(out, "kind", report.byKind());
    table(out, "layer", report.byLayer());
    out.blank();
    out.sentence(
        0,
        "Cosine: of ΔW with W0, in standard deviations (sd) of a step without a preferred direction. A dash in place of a number: it is not defined, because the weights or the update are zero. A dash as a layer: tensors outside of layers.");
    widestRows(out, report.tensors());
    widestHeads(out, report.tensors());
    report.omissions().forEach((title, names) -> names(out, title, names));
    names(out, "only in base", report.unmatched().onlyInBase());
    names(out, "only in tuned", report.unmatched().onlyInTuned());
    names(out, "shapes differ", report.unmatched().shapeMismatch());
    names(out, "refused", report.unmatched().notCompared());
    names(out, "matched in spite of a prefix", report.coverage().matched());
    if (!report.unmatched().untouchedByAdapter().isEmpty()) {
      out.line(
          "%d tensors that the adapter does not change",
          report.unmatched().untouchedByAdapter().size());
    }
    return out.toString();
  }

  private static void files(TextLines out, Identity identity) {
    identity.files().forEach(file -> out.line("       %s  %s", file.sha256(), file.file()));
  }

  private static void findings(TextLines out, ComparisonReport report) {
    if (report.findings().isEmpty()) {
      return;
    }
    report
        .nss()
        .ifPresent(
            drift ->
                out.sentence(
                    4,
                    "spectral drift NSS: median %.3e, largest %.3e over %d matrices",
                    drift.median(),
                    drift.max(),
                    report.spectra().stream()
                        .filter(measure -> !measure.geometry().isLeading())
                        .count()));
    report
        .largestAngle()
        .ifPresent(
            angle ->
                out.sentence(
                    4,
                    "largest principal angle: median %.3g, largest %.3g degrees over %d matrices (%d others are gap-limited)",
                    angle.median(),
                    angle.max(),
                    report.spectra().size() - report.gapLimited(),
                    report.gapLimited()));
    if (!report.causes().isEmpty()) {
      out.blank();
      out.sentence(0, "Trivial causes, without which the findings are judged:");
      report.causes().forEach(cause -> out.sentence(4, "  %s.", cause.text()));
    }
    out.blank();
    out.sentence(
        0,
        "Findings. Each is compared with the null model that comes closest to it (docs/metrics.md).");
    for (Finding finding : report.findings()) {
      out.sentence(4, "  [%s] %s", finding.verdict().label(), finding.text());
    }
  }

  private static void table(TextLines out, String title, Map<String, Totals> groups) {
    out.blank();
    out.line(
        "%-10s %14s %9s %9s %11s %9s",
        title, "entries", "sparsity", "hidden", "|dW|/|W0|", "cosine");
    groups.forEach(
        (name, totals) ->
            out.line(
                "%-10s %,14d %9.4f %9.4f %11.3e %9s",
                name,
                totals.counts().total(),
                totals.sparsity(),
                totals.counts().total() == 0
                    ? 0
                    : totals.counts().hidden() / (double) totals.counts().total(),
                totals.relativeFrobenius(),
                cosine(totals)));
  }

  /** Returns the cosine of ΔW and W0, in standard deviations of an isotropic step. */
  private static String cosine(Totals totals) {
    return TextLines.text("%+.1f sd", totals.cosine() / totals.cosineNullSd());
  }

  private record Row(TensorDiff tensor, RatioProfile rows) {
    double excess() {
      return rows.nullSd() == 0 ? 0 : (rows.max() - rows.mean()) / rows.nullSd();
    }
  }

  private static void widestRows(TextLines out, List<TensorDiff> tensors) {
    List<Row> rows = new ArrayList<>();
    for (TensorDiff tensor : tensors) {
      if (tensor.totals().counts().changed() > 0) {
        tensor
            .rowProfile()
            .filter(profile -> tensor.shape().get(1) >= SMALLEST_PROFILE)
            .ifPresent(profile -> rows.add(new Row(tensor, profile)));
      }
    }
    if (rows.isEmpty()) {
      return;
    }
    rows.sort(Comparator.comparingDouble(Row::excess).reversed());
    out.blank();
    out.sentence(
        4,
        "Rows with the largest ratios of changed entries, compared with independent changes (mean of the tensor ± sd of the binomial null model):");
    rows.stream()
        .limit(WIDEST)
        .forEach(
            row ->
                out.line(
                    "  %-44s row %6d  %.3f  against %.3f ± %.3f",
                    row.tensor().name(),
                    row.rows().maxIndex(),
                    row.rows().max(),
                    row.rows().mean(),
                    row.rows().nullSd()));
  }

  private record Head(TensorDiff tensor, HeadCount count) {
    double ratio() {
      return count.changed() / (double) count.total();
    }

    double mean() {
      return 1 - tensor.totals().sparsity();
    }

    double nullSd() {
      return Math.sqrt(mean() * (1 - mean()) / count.total());
    }

    double excess() {
      return nullSd() == 0 ? 0 : (ratio() - mean()) / nullSd();
    }
  }

  private static void widestHeads(TextLines out, List<TensorDiff> tensors) {
    List<Head> heads = new ArrayList<>();
    tensors.forEach(tensor -> tensor.heads().forEach(count -> heads.add(new Head(tensor, count))));
    if (heads.isEmpty()) {
      return;
    }
    heads.sort(Comparator.comparingDouble(Head::excess).reversed());
    out.blank();
    out.sentence(4, "Attention heads with the largest ratios, compared in the same way:");
    heads.stream()
        .limit(WIDEST)
        .forEach(
            head ->
                out.line(
                    "  %-44s head %s%-4d  %.3f  against %.3f ± %.3f",
                    head.tensor().name(),
                    head.count().part(),
                    head.count().head(),
                    head.ratio(),
                    head.mean(),
                    head.nullSd()));
  }

  private static void names(TextLines out, String title, List<String> names) {
    if (!names.isEmpty()) {
      String more =
          names.size() > MOST_NAMES ? " and " + (names.size() - MOST_NAMES) + " more" : "";
      out.blank();
      out.sentence(
          4,
          "%s: %s%s",
          title,
          String.join(", ", names.subList(0, Math.min(MOST_NAMES, names.size()))),
          more);
    }
  }
}
