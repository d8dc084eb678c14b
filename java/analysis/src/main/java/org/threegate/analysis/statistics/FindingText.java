package org.threegate.analysis.statistics;

import java.util.List;
import java.util.Locale;
import java.util.Optional;
import org.apache.commons.statistics.distribution.TDistribution;

/** Writes a finding as a sentence. */
final class FindingText {
  private static final double LEVEL = 0.95;
  private static final int FEWEST_DRAWS = 20;

  /** Probability above three standard deviations of a normal distribution. */
  private static final double THREE_SIGMA = 0.0013498980316301;

  private FindingText() {}

  static String seen(
      Claim claim, Verdict verdict, Finding.Evidence evidence, List<Finding.Setting> settings) {
    if (evidence.nulls().isEmpty()) {
      return (claim.excluded().isEmpty() ? "no matrix to test" : claim.excluded()) + ".";
    }
    Finding.Beyond closest = evidence.nulls().get(0);
    PooledEffect pooled = closest.pooled();
    Effect effect = pooled.effect();
    ClusteredMean.Interval interval = effect.interval(LEVEL);
    Finding.Means means = evidence.means();
    StringBuilder text = new StringBuilder();
    add(
        text,
        "%s is %.4g, the closest null model (%s) gives %.4g",
        claim.measure().name(),
        means.observed(),
        closest.model(),
        means.nullMean());
    means.naiveMean().ifPresent(value -> add(text, ", chance %.4g", value));
    add(
        text,
        "; %s to that null %.3g (95 %% interval %.3g to %.3g, %s)",
        claim.measure().scale().label(),
        effect.ratio(),
        Math.exp(interval.low()),
        Math.exp(interval.high()),
        matrices(pooled));
    Finding.Votes votes = evidence.votes();
    add(
        text,
        "; beyond all null models, %d of %d matrices speak for it and %d against",
        votes.supporting(),
        votes.matrices(),
        votes.contrary());
    if (verdict == Verdict.CONSISTENT_WITH_CHANCE) {
      add(
          text,
          "; the effect is smaller than a factor of %.3g in both directions",
          evidence.bound());
    }
    if (verdict == Verdict.EXPLAINED_BY_NULL) {
      between(text, claim, evidence);
    }
    if (!claim.missing().isEmpty()) {
      add(
          text,
          "; no verdict for or against it without the null models that were not drawn: %s",
          String.join(", ", claim.missing()));
    } else if (verdict == Verdict.UNDETERMINED) {
      toDecide(text, pooled, evidence.bound());
    }
    if (closest.draws() > 0 && closest.draws() < FEWEST_DRAWS) {
      add(
          text,
          "; low power: %d draws of the null model, so a single matrix needs %.3g standard errors",
          closest.draws(),
          TDistribution.of(closest.draws() - 1.0).inverseCumulativeProbability(1 - THREE_SIGMA));
    }
    if (!claim.measure().setting().isEmpty()) {
      add(text, "; %s", claim.measure().setting());
    }
    for (Finding.Setting setting : settings) {
      if (setting.verdict() != verdict) {
        add(text, "; with %s: %s", setting.name(), setting.verdict().label());
      }
    }
    if (!claim.excluded().isEmpty()) {
      add(text, "; %s", claim.excluded());
    }
    return text.append('.').toString();
  }

  private static String matrices(PooledEffect pooled) {
    String matrices = pooled.matrices() == 1 ? "1 matrix" : pooled.matrices() + " matrices";
    return pooled.clusters() < pooled.matrices()
        ? matrices + " in " + pooled.clusters() + " layers"
        : matrices;
  }

  /** Names null models on both sides of the observation, between which it shows no direction. */
  private static void between(StringBuilder text, Claim claim, Finding.Evidence evidence) {
    double bound = Math.log(evidence.bound());
    Optional<Finding.Beyond> below =
        evidence.nulls().stream()
            .filter(one -> one.pooled().effect().interval(LEVEL).low() > bound)
            .findFirst();
    Optional<Finding.Beyond> above =
        evidence.nulls().stream()
            .filter(one -> one.pooled().effect().interval(LEVEL).high() < -bound)
            .findFirst();
    if (below.isPresent() && above.isPresent()) {
      add(
          text,
          "; it lies between null models (%s %.3g to %s, %.3g to %s), so it shows neither direction",
          claim.measure().scale().label(),
          below.get().pooled().effect().ratio(),
          below.get().model(),
          above.get().pooled().effect().ratio(),
          above.get().model());
    }
  }

  private static void toDecide(StringBuilder text, PooledEffect pooled, double bound) {
    double needed = pooled.clustersToDecide(Math.log(bound));
    boolean layers = pooled.clusters() < pooled.matrices();
    if (Double.isFinite(needed) && needed > pooled.clusters()) {
      add(
          text,
          "; about %.0f %s would decide, if the effect is as seen",
          needed,
          layers ? "layers" : "matrices");
    }
  }

  private static void add(StringBuilder text, String format, Object... values) {
    text.append(String.format(Locale.ROOT, format, values));
  }
}
