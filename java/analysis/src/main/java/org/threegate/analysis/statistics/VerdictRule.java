package org.threegate.analysis.statistics;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * The rule that turns effects beyond null models, or beyond matched controls, into a verdict.
 *
 * <pre>{@code
 * VerdictRule rule = new VerdictRule(1, Math.log(1.25));
 * Verdict verdict = rule.verdict(List.of(new Effect(0.7, 0.1, 6)), List.of(), true);
 * }</pre>
 *
 * @param sign +1 if the claim is that the measure lies above its nulls, −1 if below
 * @param bound smallest effect of interest, as a logarithm
 */
public record VerdictRule(int sign, double bound) {
  private static final double LEVEL = 0.95;

  private int direction(Effect effect) {
    ClusteredMean.Interval interval = effect.interval(LEVEL);
    int beyond = interval.low() > bound ? 1 : interval.high() < -bound ? -1 : 0;
    return beyond * sign;
  }

  private boolean isSmall(Effect effect) {
    return effect.estimate().equivalencePValue(-bound, bound) < 1 - LEVEL;
  }

  /**
   * {@return the verdict}
   *
   * @param nulls effect beyond each null model or matched control
   * @param others effects beyond references that do not decide, such as the usual control
   * @param significant whether the effect beyond every null is significant after correction
   */
  public Verdict verdict(List<Effect> nulls, List<Effect> others, boolean significant) {
    if (nulls.isEmpty()) {
      return Verdict.UNDETERMINED;
    }
    if (significant && nulls.stream().allMatch(effect -> direction(effect) > 0)) {
      return Verdict.SUPPORTED;
    }
    if (significant && nulls.stream().allMatch(effect -> direction(effect) < 0)) {
      return Verdict.CONTRADICTED;
    }
    Effect closest =
        nulls.stream().min(Comparator.comparingDouble(own -> Math.abs(own.log()))).orElseThrow();
    List<Effect> references = new ArrayList<>(nulls);
    references.addAll(others);
    List<Effect> large = references.stream().filter(effect -> direction(effect) != 0).toList();
    if (large.isEmpty()) {
      return isSmall(closest) ? Verdict.CONSISTENT_WITH_CHANCE : Verdict.UNDETERMINED;
    }
    return explains(closest, nulls, large) ? Verdict.EXPLAINED_BY_NULL : Verdict.UNDETERMINED;
  }

  /**
   * Returns whether the nulls account for the large effects beyond other references: the effect
   * beyond the closest null is small, or its estimate is and no large effect is plausible for it,
   * or the observation lies between two nulls.
   */
  private boolean explains(Effect closest, List<Effect> nulls, List<Effect> large) {
    ClusteredMean.Interval interval = closest.interval(LEVEL);
    boolean separates =
        Math.abs(closest.log()) < bound
            && large.stream().noneMatch(one -> interval.contains(one.log()));
    boolean between =
        nulls.stream().anyMatch(effect -> direction(effect) > 0)
            && nulls.stream().anyMatch(effect -> direction(effect) < 0);
    return isSmall(closest) || separates || between;
  }
}
