package org.threegate.report;

import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.statistics.ClusteredMean;
import org.threegate.analysis.statistics.Effect;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.PooledEffect;

/** A finding with its verdict and the evidence for it. */
record FindingJson(
    String id,
    String verdict,
    String text,
    boolean dependsOnSetting,
    List<Setting> settings,
    Evidence evidence) {
  private static final double LEVEL = 0.95;

  record Setting(String name, String verdict, Optional<EffectJson> effect) {
    static Setting of(Finding.Setting setting) {
      return new Setting(
          setting.name(), setting.verdict().label(), setting.effect().map(EffectJson::of));
    }
  }

  record Evidence(
      int matrices,
      int supporting,
      int contrary,
      double observed,
      double nullMean,
      double naiveMean,
      double smallestEffect,
      Optional<PooledJson> naive,
      List<Beyond> nulls,
      Map<String, Kind> byKind,
      String excluded) {
    static Evidence of(Finding.Evidence evidence) {
      Map<String, Kind> kinds = new LinkedHashMap<>();
      evidence.byKind().forEach((kind, own) -> kinds.put(kind, Kind.of(own)));
      return new Evidence(
          evidence.votes().matrices(),
          evidence.votes().supporting(),
          evidence.votes().contrary(),
          evidence.means().observed(),
          evidence.means().nullMean(),
          evidence.means().naiveMean().orElse(Double.NaN),
          evidence.bound(),
          evidence.naive().map(PooledJson::of),
          evidence.nulls().stream().map(Beyond::of).toList(),
          kinds,
          evidence.excluded());
    }
  }

  record EffectJson(double ratio, double low, double high, double p) {
    static EffectJson of(Effect effect) {
      ClusteredMean.Interval interval = effect.interval(LEVEL);
      return new EffectJson(
          effect.ratio(), Math.exp(interval.low()), Math.exp(interval.high()), effect.pValue());
    }
  }

  record PooledJson(
      double ratio,
      double low,
      double high,
      double p,
      double tau,
      double heterogeneity,
      int matrices,
      int clusters) {
    static PooledJson of(PooledEffect pooled) {
      EffectJson effect = EffectJson.of(pooled.effect());
      return new PooledJson(
          effect.ratio(),
          effect.low(),
          effect.high(),
          pooled.pValue(),
          pooled.tau(),
          pooled.heterogeneity(),
          pooled.matrices(),
          pooled.clusters());
    }
  }

  record Beyond(String model, int draws, double medianT, PooledJson effect) {
    static Beyond of(Finding.Beyond beyond) {
      return new Beyond(
          beyond.model(), beyond.draws(), beyond.medianT(), PooledJson.of(beyond.pooled()));
    }
  }

  record Kind(int matrices, int supporting, int contrary, PooledJson effect) {
    static Kind of(Finding.Kind kind) {
      return new Kind(
          kind.votes().matrices(),
          kind.votes().supporting(),
          kind.votes().contrary(),
          PooledJson.of(kind.pooled()));
    }
  }

  static List<FindingJson> of(List<Finding> findings) {
    return findings.stream().map(FindingJson::of).toList();
  }

  private static FindingJson of(Finding finding) {
    return new FindingJson(
        finding.id(),
        finding.verdict().label(),
        finding.text(),
        finding.dependsOnSetting(),
        finding.settings().stream().map(Setting::of).toList(),
        Evidence.of(finding.evidence()));
  }
}
