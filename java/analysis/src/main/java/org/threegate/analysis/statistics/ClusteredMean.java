package org.threegate.analysis.statistics;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import java.util.function.DoubleUnaryOperator;
import org.apache.commons.statistics.distribution.TDistribution;

/**
 * The mean of values in clusters that are not independent, such as tokens of the same sequence. Its
 * standard error is computed from the sums of the clusters (Cameron and Miller, Journal of Human
 * Resources 50(2), 2015).
 *
 * <pre>{@code
 * ClusteredMean mean = ClusteredMean.of(new double[] {1, 2, 4, 5}, new long[] {0, 0, 1, 1});
 * System.out.println(mean.value() + " ± " + mean.se());
 * }</pre>
 *
 * @param value mean of the values
 * @param se cluster-robust standard error; NaN for a single cluster
 * @param skewness skewness of the cluster sums
 * @param values number of values
 * @param clusters number of clusters
 */
public record ClusteredMean(double value, double se, double skewness, int values, int clusters) {
  /**
   * A confidence interval from {@code low} to {@code high}.
   *
   * @param low lower end of the interval
   * @param high upper end of the interval
   */
  public record Interval(double low, double high) {
    /**
     * {@return whether a value lies in the interval, whose ends belong to it}
     *
     * @param value value to look for
     */
    public boolean contains(double value) {
      return low <= value && value <= high;
    }
  }

  /**
   * Computes the mean of clustered values.
   *
   * @param values the values
   * @param clusters cluster identifier of each value
   * @return the mean with its standard error
   * @throws IllegalArgumentException if there are no values or the lengths differ
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

  /**
   * Sums the deviations from the mean within each cluster. Clusters are in order of first
   * appearance.
   */
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

  /**
   * {@return the confidence interval at this level, based on Student's t-distribution} It is
   * unbounded for a single cluster.
   *
   * @param probability level of the interval, such as 0.95
   */
  public Interval interval(double probability) {
    return interval(probability, DoubleUnaryOperator.identity());
  }

  /**
   * {@return the confidence interval for skewed values, such as squared slopes} It uses Hall's
   * transformation of the t-statistic (Journal of the Royal Statistical Society B 54(1), 1992),
   * because the mean of squared slopes is still skewed over a hundred sequences. Do not use it for
   * symmetric values such as differences: estimating their skewness adds noise.
   *
   * @param probability level of the interval, such as 0.95
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

  /**
   * Returns the two-sided quantile of Student's distribution with clusters − 1 degrees of freedom.
   */
  double quantile(double probability) {
    return TDistribution.of(clusters - 1).inverseCumulativeProbability(probability);
  }

  /** {@return the two-sided p-value of the hypothesis that the true mean is zero} */
  public double pValue() {
    if (clusters < 2 || se == 0) {
      return value == 0 || clusters < 2 ? 1 : 0;
    }
    double distance = Math.abs(value / se);
    return Math.min(1, 2 * TDistribution.of(clusters - 1).survivalProbability(distance));
  }
}
