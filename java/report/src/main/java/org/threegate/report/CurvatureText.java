package org.threegate.report;

import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.curvature.Along;
import org.threegate.analysis.curvature.LayerCurvature;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.PairedComparison;

/**
 * The summary that a terminal shows.
 *
 * <pre>{@code
 * System.out.print(CurvatureText.render(curvatureReport));
 * }</pre>
 */
public final class CurvatureText {
  private CurvatureText() {}

  /** Text of several lines. */
  public static String render(CurvatureReport report) {
    StringBuilder out = new StringBuilder();
    ShownText.line(out, "base     %s", report.base());
    ShownText.line(out, "tuned    %s", report.tuned());
    ShownText.line(
        out,
        "capture  %s (%s, squares of each %s)",
        report.capture(),
        report.fisher(),
        report.unit());
    ShownText.line(out, "");
    for (Finding finding : report.study().findings()) {
      ShownText.line(out, "[%s] %s", finding.verdict().label(), finding.text());
    }
    for (LayerCurvature layer : report.study().layers()) {
      layer(out, layer);
    }
    report
        .study()
        .skipped()
        .forEach(
            (name, why) -> {
              ShownText.line(out, "");
              ShownText.line(out, "%s: %s", name, why);
            });
    ShownText.line(out, "");
    ShownText.line(
        out,
        "KL divergence to second order, nats a token: %s; each of these layers alone, added up: %.3g%s",
        report
            .study()
            .klTogether()
            .map(
                kl ->
                    String.format(
                        Locale.ROOT, "these layers together %.3g ± %.1g", kl.value(), kl.se()))
            .orElse("these layers together unknown, they saw different sequences"),
        report.study().klOfLayersAlone(),
        report
            .klPerToken()
            .map(kl -> String.format(Locale.ROOT, "; measured, of the whole update: %.3g", kl))
            .orElse(""));
    return out.toString();
  }

  private static void layer(StringBuilder out, LayerCurvature layer) {
    ShownText.line(out, "");
    ShownText.line(
        out,
        "%s  %d tokens of %d sequences, rank %d, ‖ΔW‖ %.3g",
        layer.name(),
        layer.tokens(),
        layer.sequences().size(),
        layer.rank(),
        Math.sqrt(layer.squaredNorm()));
    ShownText.line(
        out, "  %-20s %11s %9s  %-23s %8s", "curvature along", "", "± se", "95 %", "of |ΔW|²");
    for (Map.Entry<Along, ClusteredMean> entry : layer.along().entrySet()) {
      ClusteredMean mean = entry.getValue();
      ClusteredMean.Interval interval = mean.intervalOfSkew(0.95);
      ShownText.line(
          out,
          "  %-20s %11.3g %9.1g  %-23s %8s",
          entry.getKey().label(),
          mean.value(),
          mean.se(),
          String.format(Locale.ROOT, "%.3g to %.3g", interval.low(), interval.high()),
          Optional.ofNullable(layer.shares().get(entry.getKey()))
              .map(share -> String.format(Locale.ROOT, "%.3f", share))
              .orElse(""));
    }
    ShownText.line(
        out,
        "  %-36s %11s %9s %9s %9s %10s %s",
        "difference, on the same tokens",
        "",
        "± se",
        "p",
        "sign p",
        "detectable",
        "sequences to settle");
    for (LayerCurvature.Comparison comparison : layer.comparisons()) {
      PairedComparison paired = comparison.paired();
      ShownText.line(
          out,
          "  %-36s %11.3g %9.1g %9.2g %9.2g %10.2g %s",
          comparison.first().label() + " − " + comparison.second().label(),
          paired.difference().value(),
          paired.difference().se(),
          paired.difference().pValue(),
          paired.signTestPValue(),
          paired.minimumDetectable(),
          Double.isFinite(paired.clustersToSettle())
              ? String.format(Locale.ROOT, "%.0f", paired.clustersToSettle())
              : "–");
    }
    ShownText.line(
        out,
        "  KL divergence of this layer alone, ½ ΔᵀFΔ: %.3g ± %.1g nats a token; least curvature in the update's leading directions %.3g",
        layer.klAlone().value(),
        layer.klAlone().se(),
        layer.leastInUpdateSpan());
    overlap(out, "A (inputs) and right", layer.kfacInputOverlap());
    overlap(out, "B (gradients) and left", layer.kfacGradientOverlap());
    layer
        .eigenvalueDensity()
        .ifPresent(
            own ->
                ShownText.line(
                    out,
                    "  largest eigenvalue %.3g, trace %.3g ± %.1g",
                    own.largest(),
                    own.trace().value(),
                    own.trace().se()));
  }

  private static void overlap(
      StringBuilder out, String what, Optional<LayerCurvature.Overlap> overlap) {
    overlap.ifPresent(
        own ->
            ShownText.line(
                out,
                "  overlap of K-FAC's %s singular vectors, %d each: %.3f (random %.3f ± %.3f)",
                what,
                own.directions(),
                own.observed(),
                own.random().mean(),
                own.random().sd()));
  }
}
