package org.threegate.analysis.statistics;

/**
 * An observation against a null model: the distribution of the measure under it, and the size of
 * the effect beyond it.
 *
 * @param estimate distribution of the measure under the null
 * @param effect effect beyond the null
 */
public record Against(NullEstimate estimate, Effect effect) {
  /**
   * {@return an observation against a null, as their ratio}
   *
   * @param observed measured value, not negative
   * @param estimate distribution of the measure under the null
   */
  public static Against ofRatio(double observed, NullEstimate estimate) {
    return new Against(estimate, Effect.ofRatio(observed, estimate));
  }

  boolean isDefined() {
    return effect.isDefined() && Double.isFinite(estimate.mean());
  }
}
