package org.threegate.report;

import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.curvature.Along;
import org.threegate.analysis.curvature.LayerCurvature;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.Effect;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.PairedComparison;

/**
 * Renders the summary of a measurement of curvature for a terminal.
 *
 * <pre>{@code
 * System.out.print(CurvatureText.render(curvatureReport));
 * }</pre>
 */
public final class CurvatureText {
  private CurvatureText() {}

  /**
   * Renders a summary for output that is not a terminal: nothing is wrapped.
   *
   * @param report report to render
   * @return lines of text
   */
  public static String render(CurvatureReport report) {
    return render(report, TextLines.UNLIMITED);
  }

  /**
   * Renders a summary.
   *
   * @param report report to render
   * @param width columns of the terminal; sentences are wrapped to it, rows of tables are not
   * @return lines of text
   */
  public static String render(CurvatureReport report, int width) {
    TextLines out = new TextLines(width);
    out.line("base     %s", report.base());
    out.line("tuned    %s", report.tuned());
    out.line("capture  %s (%s, unit: %s)", report.capture(), report.fisher(), report.unit());
    ComparisonReport.Coverage coverage = report.coverage();
    out.sentence(
        4, "%s", Account.line(coverage.entries(), coverage.weights(), "are in measured layers"));
    coverage.caveat().ifPresent(caveat -> out.sentence(4, "%s", caveat));
    out.blank();
    for (Finding finding : report.findings()) {
      out.sentence(4, "[%s] %s", finding.verdict().label(), finding.text());
    }
    for (LayerCurvature layer : report.study().layers()) {
      layer(out, layer);
    }
    report
        .study()
        .skipped()
        .forEach(
            (name, why) -> {
              out.blank();
              out.line("%s: %s", name, why);
            });
    out.blank();
    out.sentence(
        0,
        "Ratio and p: with the spread of single random directions, since the update is one direction, too. Detectable: a difference of this size is found four times out of five. Sequences needed: how many would make the observed difference detectable; a dash if none was observed.");
    out.blank();
    out.sentence(
        4,
        "KL divergence to second order, in nats per token: %s; sum over the layers, each alone: %.3g%s",
        report
            .study()
            .klTogether()
            .map(
                kl ->
                    TextLines.text("all measured layers together %.3g ± %.1g", kl.value(), kl.se()))
            .orElse("all measured layers together unknown, because their sequences differ"),
        report.study().klOfLayersAlone(),
        report
            .klPerToken()
            .map(kl -> TextLines.text("; measured for the whole update: %.3g", kl))
            .orElse(""));
    out.blank();
    Account.missing(out, "base", coverage.base());
    Account.missing(out, "tuned", coverage.tuned(), coverage.base());
    return out.toString();
  }

  private static void layer(TextLines out, LayerCurvature layer) {
    out.blank();
    out.line(
        "%s: %d tokens of %d sequences, rank %d, ‖ΔW‖ %.3g",
        layer.name(),
        layer.tokens(),
        layer.sequences().size(),
        layer.rank(),
        Math.sqrt(layer.squaredNorm()));
    out.line("  %-20s %11s %9s  %-23s %8s", "curvature along", "", "± se", "95 %", "of |ΔW|²");
    for (Map.Entry<Along, ClusteredMean> entry : layer.directions().along().entrySet()) {
      ClusteredMean mean = entry.getValue();
      ClusteredMean.Interval interval = mean.intervalOfSkew(0.95);
      out.line(
          "  %-20s %11.3g %9.1g  %-23s %8s",
          entry.getKey().label(),
          mean.value(),
          mean.se(),
          TextLines.text("%.3g to %.3g", interval.low(), interval.high()),
          Optional.ofNullable(layer.directions().shares().get(entry.getKey()))
              .map(share -> TextLines.text("%.3f", share))
              .orElse(""));
    }
    out.line(
        "  %-36s %11s %9s %-24s %9s %10s %s",
        "difference on the same tokens",
        "",
        "± se",
        "ratio, 95 %",
        "p",
        "detectable",
        "sequences needed");
    for (LayerCurvature.Comparison comparison : layer.comparisons()) {
      PairedComparison paired = comparison.paired();
      out.line(
          "  %-36s %11.3g %9.1g %-24s %9.2g %10.2g %s",
          comparison.first().label() + " − " + comparison.second().label(),
          paired.difference().value(),
          paired.difference().se(),
          ratio(comparison.effect()),
          comparison.effect().pValue(),
          paired.minimumDetectable(),
          Double.isFinite(paired.clustersToSettle())
              ? TextLines.text("%.0f", paired.clustersToSettle())
              : "–");
    }
    out.sentence(
        4,
        "  KL divergence of this layer alone, ½ ΔᵀFΔ: %.3g ± %.1g nats per token; least curvature in the leading directions of the update: %.3g",
        layer.klAlone().value(),
        layer.klAlone().se(),
        layer.spectrum().leastInUpdateSpan());
    overlap(out, "A (inputs) with right", layer.spectrum().kfacInputOverlap());
    overlap(out, "B (gradients) with left", layer.spectrum().kfacGradientOverlap());
    layer
        .spectrum()
        .eigenvalueDensity()
        .ifPresent(
            own ->
                out.line(
                    "  largest eigenvalue %.3g, trace %.3g ± %.1g",
                    own.largest(), own.trace().value(), own.trace().se()));
  }

  private static String ratio(Effect effect) {
    ClusteredMean.Interval interval = effect.interval(0.95);
    return TextLines.text(
        "%.3g (%.3g to %.3g)", effect.ratio(), Math.exp(interval.low()), Math.exp(interval.high()));
  }

  private static void overlap(
      TextLines out, String what, Optional<LayerCurvature.Overlap> overlap) {
    overlap.ifPresent(
        own ->
            out.sentence(
                4,
                "  overlap of K-FAC factor %s singular vectors, %d of each: %.3f (random %.3f ± %.3f)",
                what,
                own.directions(),
                own.observed(),
                own.random().mean(),
                own.random().sd()));
  }
}
