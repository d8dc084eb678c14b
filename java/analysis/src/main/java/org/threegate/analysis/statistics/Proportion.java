package org.threegate.analysis.statistics;

import org.apache.commons.statistics.distribution.BetaDistribution;

/**
 * A proportion with its exact confidence interval (Clopper and Pearson, Biometrika 26(4), 1934).
 *
 * @param count number of successes
 * @param trials number of trials
 */
public record Proportion(long count, long trials) {
  /** {@return the share of successes; NaN without trials} */
  public double value() {
    return Ratio.of(count, trials);
  }

  /**
   * {@return the confidence interval, from 0 to 1 without trials}
   *
   * @param probability level of the interval, such as 0.95
   */
  public ClusteredMean.Interval interval(double probability) {
    double tail = (1 - probability) / 2;
    double low =
        count == 0
            ? 0
            : BetaDistribution.of(count, trials - count + 1.0).inverseCumulativeProbability(tail);
    double high =
        count == trials
            ? 1
            : BetaDistribution.of(count + 1.0, trials - count).inverseSurvivalProbability(tail);
    return new ClusteredMean.Interval(low, high);
  }
}
