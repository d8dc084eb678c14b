package org.threegate.report;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.threegate.analysis.diff.HeadCount;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.Totals;

/**
 * The summary that a terminal shows.
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

  /** Text of several lines. */
  public static String render(ComparisonReport report) {
    StringBuilder out = new StringBuilder();
    Totals totals = report.totals();
    ShownText.line(out, "base   %s", report.base().path());
    ShownText.line(out, "tuned  %s", report.tuned().path());
    ShownText.line(
        out,
        "%,d of %,d entries in %d tensors changed in bf16: sparsity %.4f (exact counts)",
        totals.changed(),
        totals.total(),
        report.tensors().size(),
        totals.sparsity());
    ShownText.line(
        out,
        "%,d changed as stored, %,d of them hidden by bf16 (%.1f %%); |dW|/|W0| = %.3e",
        totals.changedStored(),
        totals.hidden(),
        totals.changedStored() == 0 ? 0 : 100.0 * totals.hidden() / totals.changedStored(),
        totals.relativeFrobenius());
    if (totals.nonFinite() > 0) {
      ShownText.line(out, "%,d entries are not finite and enter no norm", totals.nonFinite());
    }
    findings(out, report);
    table(out, "kind", report.byKind());
    table(out, "layer", report.byLayer());
    widestRows(out, report.tensors());
    widestHeads(out, report.tensors());
    names(out, "without singular values", omitted(report));
    names(out, "only in base", report.unmatched().onlyInBase());
    names(out, "only in tuned", report.unmatched().onlyInTuned());
    names(out, "shapes differ", report.unmatched().shapeMismatch());
    names(out, "not floating point", report.unmatched().notCompared());
    if (!report.unmatched().untouchedByAdapter().isEmpty()) {
      ShownText.line(
          out,
          "%d tensors untouched by the adapter",
          report.unmatched().untouchedByAdapter().size());
    }
    return out.toString();
  }

  private static List<String> omitted(ComparisonReport report) {
    List<String> names = new ArrayList<>();
    report
        .geometry()
        .forEach(
            (name, geometry) ->
                geometry.spectrumOmitted().ifPresent(why -> names.add(name + " (" + why + ")")));
    return names;
  }

  private static void findings(StringBuilder out, ComparisonReport report) {
    if (report.findings().isEmpty()) {
      return;
    }
    report
        .nss()
        .ifPresent(
            drift ->
                ShownText.line(
                    out,
                    "spectral drift NSS: median %.3e, largest %.3e over %d matrices",
                    drift.median(),
                    drift.max(),
                    report.spectra().size()));
    report
        .largestAngle()
        .ifPresent(
            angle ->
                ShownText.line(
                    out,
                    "largest principal angle: median %.3g, largest %.3g degrees over %d matrices (%d others are gap-limited)",
                    angle.median(),
                    angle.max(),
                    report.spectra().size() - report.gapLimited(),
                    report.gapLimited()));
    ShownText.line(out, "");
    ShownText.line(out, "findings, each against its strictest null model (docs/metrics.md)");
    for (Finding finding : report.findings()) {
      ShownText.line(out, "  [%s] %s", finding.verdict().label(), finding.text());
    }
  }

  private static void table(StringBuilder out, String title, Map<String, Totals> groups) {
    ShownText.line(out, "");
    ShownText.line(
        out,
        "%-10s %14s %9s %9s %11s %9s",
        title,
        "entries",
        "sparsity",
        "hidden",
        "|dW|/|W0|",
        "cos±null");
    groups.forEach(
        (name, totals) ->
            ShownText.line(
                out,
                "%-10s %,14d %9.4f %9.4f %11.3e %9s",
                name,
                totals.total(),
                totals.sparsity(),
                totals.total() == 0 ? 0 : totals.hidden() / (double) totals.total(),
                totals.relativeFrobenius(),
                cosine(totals)));
  }

  /** The cosine in units of its standard deviation for an isotropic step. */
  private static String cosine(Totals totals) {
    double z = totals.cosine() / totals.cosineNullSd();
    return Double.isFinite(z) ? String.format(Locale.ROOT, "%+.1f sd", z) : "-";
  }

  private static void widestRows(StringBuilder out, List<TensorDiff> tensors) {
    List<TensorDiff> sorted = new ArrayList<>(tensors);
    sorted.removeIf(
        tensor ->
            tensor.rowProfile().isEmpty()
                || tensor.shape().get(1) < SMALLEST_PROFILE
                || tensor.totals().changed() == 0);
    sorted.sort(Comparator.comparingDouble(TerminalReport::rowExcess).reversed());
    if (sorted.isEmpty()) {
      return;
    }
    ShownText.line(out, "");
    ShownText.line(
        out,
        "widest rows: ratio of changed entries, tensor's mean ± sd of independent changes (binomial null)");
    sorted.stream()
        .limit(WIDEST)
        .forEach(
            tensor -> {
              var rows = tensor.rowProfile().orElseThrow();
              ShownText.line(
                  out,
                  "  %-44s row %6d  %.3f  against %.3f ± %.3f",
                  tensor.name(),
                  rows.maxIndex(),
                  rows.max(),
                  rows.mean(),
                  rows.nullSd());
            });
  }

  private static double rowExcess(TensorDiff tensor) {
    var rows = tensor.rowProfile().orElseThrow();
    return rows.nullSd() == 0 ? 0 : (rows.max() - rows.mean()) / rows.nullSd();
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

  private static void widestHeads(StringBuilder out, List<TensorDiff> tensors) {
    List<Head> heads = new ArrayList<>();
    tensors.forEach(tensor -> tensor.heads().forEach(count -> heads.add(new Head(tensor, count))));
    if (heads.isEmpty()) {
      return;
    }
    heads.sort(Comparator.comparingDouble(Head::excess).reversed());
    ShownText.line(out, "");
    ShownText.line(out, "widest heads: the same for attention heads");
    heads.stream()
        .limit(WIDEST)
        .forEach(
            head ->
                ShownText.line(
                    out,
                    "  %-44s head %s%-4d  %.3f  against %.3f ± %.3f",
                    head.tensor().name(),
                    head.count().part(),
                    head.count().head(),
                    head.ratio(),
                    head.mean(),
                    head.nullSd()));
  }

  private static void names(StringBuilder out, String title, List<String> names) {
    if (!names.isEmpty()) {
      String more =
          names.size() > MOST_NAMES ? " and " + (names.size() - MOST_NAMES) + " more" : "";
      ShownText.line(out, "");
      ShownText.line(
          out,
          "%s: %s%s",
          title,
          String.join(", ", names.subList(0, Math.min(MOST_NAMES, names.size()))),
          more);
    }
  }
}
