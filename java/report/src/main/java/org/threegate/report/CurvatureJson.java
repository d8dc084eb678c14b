package org.threegate.report;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.curvature.Along;
import org.threegate.analysis.curvature.LayerCurvature;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.PairedComparison;

/** The document {@code curvature.json}, which is also the data of the page. */
record CurvatureJson(
    int schema,
    String threegate,
    List<String> command,
    String capture,
    String base,
    String tuned,
    String fisher,
    String unit,
    double elapsedSeconds,
    ComparisonReport.Coverage coverage,
    double klPerToken,
    double klOfLayersAlone,
    double klTogether,
    double klTogetherSe,
    List<FindingJson> findings,
    List<Layer> layers,
    Map<String, String> skipped) {
  private static final int SCHEMA = 1;
  private static final double LEVEL = 0.95;

  record Layer(
      String name,
      String kind,
      int tokens,
      int sequences,
      int rank,
      double squaredNorm,
      List<Direction> directions,
      List<Comparison> comparisons,
      double klAlone,
      double klAloneSe,
      double leastInUpdateSpan,
      Optional<Overlap> kfacInputOverlap,
      Optional<Overlap> kfacGradientOverlap,
      Optional<Density> eigenvalueDensity) {
    static Layer of(LayerCurvature layer) {
      return new Layer(
          layer.name(),
          layer.kind(),
          layer.tokens(),
          layer.sequences().size(),
          layer.rank(),
          layer.squaredNorm(),
          layer.directions().along().keySet().stream()
              .map(along -> Direction.of(layer, along))
              .toList(),
          layer.comparisons().stream().map(Comparison::of).toList(),
          layer.klAlone().value(),
          layer.klAlone().se(),
          layer.spectrum().leastInUpdateSpan(),
          layer.spectrum().kfacInputOverlap().map(Overlap::of),
          layer.spectrum().kfacGradientOverlap().map(Overlap::of),
          layer.spectrum().eigenvalueDensity().map(Density::of));
    }
  }

  record Direction(
      String direction,
      double curvature,
      double se,
      double low,
      double high,
      double share,
      double drawSd) {
    static Direction of(LayerCurvature layer, Along along) {
      ClusteredMean mean = layer.directions().along().get(along);
      ClusteredMean.Interval interval = mean.intervalOfSkew(LEVEL);
      return new Direction(
          along.label(),
          mean.value(),
          mean.se(),
          interval.low(),
          interval.high(),
          layer.directions().shares().getOrDefault(along, Double.NaN),
          layer.directions().drawSd().getOrDefault(along, Double.NaN));
    }
  }

  record Comparison(
      String first,
      String second,
      double difference,
      double se,
      double low,
      double high,
      double p,
      double ratio,
      double ratioLow,
      double ratioHigh,
      double ratioP,
      int positive,
      int negative,
      double signTestP,
      double minimumDetectable,
      double sequencesToSettle) {
    static Comparison of(LayerCurvature.Comparison comparison) {
      PairedComparison paired = comparison.paired();
      ClusteredMean difference = paired.difference();
      ClusteredMean.Interval interval = difference.interval(LEVEL);
      FindingJson.EffectJson effect = FindingJson.EffectJson.of(comparison.effect());
      return new Comparison(
          comparison.first().label(),
          comparison.second().label(),
          difference.value(),
          difference.se(),
          interval.low(),
          interval.high(),
          difference.pValue(),
          effect.ratio(),
          effect.low(),
          effect.high(),
          effect.p(),
          paired.positive(),
          paired.negative(),
          paired.signTestPValue(),
          paired.minimumDetectable(),
          paired.clustersToSettle());
    }
  }

  record Overlap(int directions, double observed, double random, double randomSd, double z) {
    static Overlap of(LayerCurvature.Overlap overlap) {
      return new Overlap(
          overlap.directions(),
          overlap.observed(),
          overlap.random().mean(),
          overlap.random().sd(),
          overlap.random().z(overlap.observed()));
    }
  }

  record Density(
      double[] log10,
      double[] shareOfEigenvaluesPerDecade,
      double[] se,
      double largest,
      double trace,
      double traceSe) {
    static Density of(LayerCurvature.Density density) {
      return new Density(
          density.decades(),
          density.shares(),
          density.se(),
          density.largest(),
          density.trace().value(),
          density.trace().se());
    }
  }

  static CurvatureJson of(CurvatureReport report) {
    Optional<ClusteredMean> together = report.study().klTogether();
    return new CurvatureJson(
        SCHEMA,
        report.provenance().version(),
        report.provenance().command(),
        report.capture(),
        report.base(),
        report.tuned(),
        report.fisher(),
        report.unit(),
        report.provenance().seconds(),
        report.coverage(),
        report.klPerToken().orElse(Double.NaN),
        report.study().klOfLayersAlone(),
        together.map(ClusteredMean::value).orElse(Double.NaN),
        together.map(ClusteredMean::se).orElse(Double.NaN),
        FindingJson.of(report.findings()),
        report.study().layers().stream().map(Layer::of).toList(),
        report.study().skipped());
  }
}
