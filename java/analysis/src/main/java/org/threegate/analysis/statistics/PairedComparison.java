package org.threegate.analysis.statistics;

import java.util.HashMap;
import java.util.Map;
import org.apache.commons.statistics.distribution.BinomialDistribution;

/**
 * Two measures of the same samples, such as the squared slopes along two directions, compared
 * sample by sample: what they share cancels (THEORY, section 3, the rule of statistics).
 *
 * <pre>{@code
 * double[] first = {1.1, 2.3, 0.9, 1.7};
 * double[] second = {1.0, 2.0, 1.0, 1.5};
 * PairedComparison compared = PairedComparison.of(first, second, new long[] {0, 1, 2, 3});
 * System.out.println(compared.difference().value() + ", p = " + compared.difference().pValue());
 * }</pre>
 *
 * @param difference the mean of first − second
 * @param positive clusters in which the first one is larger
 * @param negative clusters in which it is smaller
 */
public record PairedComparison(ClusteredMean difference, int positive, int negative) {
  /** Of a two-sided test at 5 %: the usual promise. */
  public static final double POWER = 0.8;

  private static final double LEVEL = 0.05;

  /** Values of the same samples in both. */
  public static PairedComparison of(double[] first, double[] second, long[] clusters) {
    if (first.length != second.length) {
      throw new IllegalArgumentException(first.length + " values and " + second.length);
    }
    double[] differences = new double[first.length];
    for (int i = 0; i < first.length; i++) {
      differences[i] = first[i] - second[i];
    }
    ClusteredMean mean = ClusteredMean.of(differences, clusters);
    Map<Long, Double> sums = new HashMap<>();
    for (int i = 0; i < differences.length; i++) {
      sums.merge(clusters[i], differences[i], Double::sum);
    }
    int positive = (int) sums.values().stream().filter(sum -> sum > 0).count();
    int negative = (int) sums.values().stream().filter(sum -> sum < 0).count();
    return new PairedComparison(mean, positive, negative);
  }

  /** Of the sign test: two-sided, clusters without a difference left out. */
  public double signTestPValue() {
    int trials = positive + negative;
    if (trials == 0) {
      return 1;
    }
    int fewer = Math.min(positive, negative);
    return Math.min(1, 2 * BinomialDistribution.of(trials, 0.5).cumulativeProbability(fewer));
  }

  /** The difference that a test at 5 % would find with a probability of {@link #POWER}. */
  public double minimumDetectable() {
    return difference.clusters() < 2 ? Double.POSITIVE_INFINITY : factor() * difference.se();
  }

  private double factor() {
    return difference.quantile(1 - LEVEL / 2) + difference.quantile(POWER);
  }

  /**
   * How many clusters would make the difference that was seen detectable with a probability of
   * {@link #POWER}, if it is the true one; infinite for none.
   */
  public double clustersToSettle() {
    double ratio = minimumDetectable() / Math.abs(difference.value());
    return Double.isNaN(ratio)
        ? Double.POSITIVE_INFINITY
        : Math.ceil(difference.clusters() * ratio * ratio);
  }
}
