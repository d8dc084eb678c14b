package org.threegate.analysis.statistics;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import org.apache.commons.statistics.distribution.TDistribution;

/**
 * The mean of values that come in clusters, such as the tokens of sequences, which are not
 * independent: its standard error is that of the clusters' sums (Cameron and Miller, Journal of
 * Human Resources 50(2), 2015).
 *
 * <pre>{@code
 * ClusteredMean mean = ClusteredMean.of(new double[] {1, 2, 4, 5}, new long[] {0, 0, 1, 1});
 * System.out.println(mean.value() + " ± " + mean.se());
 * }</pre>
 *
 * @param se NaN for a single cluster
 * @param skewness of the clusters' sums
 * @param values how many there were
 * @param clusters how many there were
 */
public record ClusteredMean(double value, double se, double skewness, int values, int clusters) {
  /** From {@code low} to {@code high}. */
  public record Interval(double low, double high) {
    public boolean contains(double value) {
      return low <= value && value <= high;
    }
  }

  /**
   * @param clusters the cluster of each value
   * @throws IllegalArgumentException when there is no value, or not a cluster for each
   */
  public static ClusteredMean of(double[] values, long[] clusters) {
    double[] sums = deviations(values, clusters);
    double squares = Arrays.stream(sums).map(sum -> sum * sum).sum();
    int count = sums.length;
    double error =
        count > 1 ? Math.sqrt(squares * count / (count - 1)) / values.length : Double.NaN;
    double cubes = Arrays.stream(sums).map(sum -> sum * sum * sum).sum();
    double skewness = squares > 0 ? cubes / count / Math.pow(squares / count, 1.5) : 0;
    return new ClusteredMean(mean(values), error, skewness, values.length, count);
  }

  private static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }

  /** The sum of each cluster's deviations from the mean, in the order of their first values. */
  private static double[] deviations(double[] values, long[] clusters) {
    if (values.length == 0 || values.length != clusters.length) {
      throw new IllegalArgumentException(
          clusters.length + " clusters for " + values.length + " values");
    }
    double mean = mean(values);
    Map<Long, Integer> places = new HashMap<>();
    double[] sums = new double[values.length];
    for (int i = 0; i < values.length; i++) {
      int place = places.computeIfAbsent(clusters[i], unused -> places.size());
      sums[place] += values[i] - mean;
    }
    return Arrays.copyOf(sums, places.size());
  }

  /** Has the true mean in it with this probability; everything, for a single cluster. */
  public Interval interval(double probability) {
    return interval(probability, DoubleUnaryOperator.identity());
  }

  /**
   * The same for values that are skew as squared slopes are, whose mean is so, too, over a hundred
   * sequences still: by Hall's transformation of the t-statistic (Journal of the Royal Statistical
   * Society B 54(1), 1992). For what is not skew, such as differences, estimating the skewness does
   * harm.
   */
  public Interval intervalOfSkew(double probability) {
    double a = skewness / Math.sqrt(clusters);
    // Inverse of ((1 + a t / 3)³ - 1) / a + a / 6; for small a the identity.
    return interval(
        probability,
        quantile ->
            Math.abs(a) < 1e-8 ? quantile : 3 / a * (Math.cbrt(1 + a * (quantile - a / 6)) - 1));
  }

  private Interval interval(double probability, DoubleUnaryOperator statistic) {
    if (clusters < 2) {
      return new Interval(Double.NEGATIVE_INFINITY, Double.POSITIVE_INFINITY);
    }
    double quantile = quantile((1 + probability) / 2);
    return new Interval(
        value - se * statistic.applyAsDouble(quantile),
        value - se * statistic.applyAsDouble(-quantile));
  }

  /** Of Student's distribution with clusters − 1 degrees of freedom. */
  double quantile(double probability) {
    return TDistribution.of(clusters - 1).inverseCumulativeProbability(probability);
  }

  /** The probability of a mean at least as far from zero when the true one is zero. */
  public double pValue() {
    if (clusters < 2 || se == 0) {
      return value == 0 || clusters < 2 ? 1 : 0;
    }
    double distance = Math.abs(value / se);
    return Math.min(1, 2 * TDistribution.of(clusters - 1).survivalProbability(distance));
  }
}
