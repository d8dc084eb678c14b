package org.threegate.analysis.statistics;

import java.util.HashMap;
import java.util.Map;
import org.apache.commons.statistics.distribution.BinomialDistribution;

/**
 * A paired comparison of two measures of the same samples, such as squared slopes along two
 * directions. Variation that both measures share cancels (THEORY, section 3, the rule of
 * statistics).
 *
 * <pre>{@code
 * double[] first = {1.1, 2.3, 0.9, 1.7};
 * double[] second = {1.0, 2.0, 1.0, 1.5};
 * PairedComparison compared = PairedComparison.of(first, second, new long[] {0, 1, 2, 3});
 * System.out.println(compared.difference().value() + ", p = " + compared.difference().pValue());
 * }</pre>
 *
 * @param difference mean of first − second, with its standard error
 * @param positive number of clusters in which the first measure is larger
 * @param negative number of clusters in which it is smaller
 */
public record PairedComparison(ClusteredMean difference, int positive, int negative) {
  /** Power for which two-sided tests at 5 % are planned: the conventional value. */
  public static final double POWER = 0.8;

  private static final double LEVEL = 0.05;

  /**
   * Compares two measures. Element i of each array belongs to sample i.
   *
   * @param first first measure of each sample
   * @param second second measure of each sample, of the same length
   * @param clusters cluster identifier of each sample
   * @return the comparison
   */
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

  /**
   * {@return the two-sided p-value of the sign test; clusters without a difference are excluded}
   */
  public double signTestPValue() {
    int trials = positive + negative;
    if (trials == 0) {
      return 1;
    }
    int fewer = Math.min(positive, negative);
    return Math.min(1, 2 * BinomialDistribution.of(trials, 0.5).cumulativeProbability(fewer));
  }

  /** {@return the smallest difference that a test at 5 % detects with power {@link #POWER}} */
  public double minimumDetectable() {
    return difference.clusters() < 2 ? Double.POSITIVE_INFINITY : factor() * difference.se();
  }

  private double factor() {
    return difference.quantile(1 - LEVEL / 2) + difference.quantile(POWER);
  }

  /**
   * {@return how many clusters are needed to detect the observed difference with power {@link
   * #POWER}; infinite if the difference is 0}
   */
  public double clustersToSettle() {
    double ratio = minimumDetectable() / Math.abs(difference.value());
    return Double.isNaN(ratio)
        ? Double.POSITIVE_INFINITY
        : Math.ceil(difference.clusters() * ratio * ratio);
  }
}
