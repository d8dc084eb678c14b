package org.threegate.analysis.statistics;

import java.util.Arrays;
import java.util.HashMap;
import java.util.Map;
import org.apache.commons.statistics.distribution.ChiSquaredDistribution;

/**
 * Effects of several matrices, pooled by a random-effects model: the true effect of a matrix is
 * itself random, with variance τ². τ² is estimated by restricted maximum likelihood. The standard
 * error is that of Hartung and Knapp (Statistics in Medicine 20(24), 2001), with clusters as units:
 * matrices of one layer are not independent.
 *
 * <pre>{@code
 * RandomEffects pooled =
 *     RandomEffects.of(new double[] {0.1, 0.3, 0.2}, new double[] {0.05, 0.1, 0.04}, new long[] {0, 1, 2});
 * System.out.println(pooled.effect().interval(0.95) + ", I² = " + pooled.heterogeneity().share());
 * }</pre>
 *
 * @param effect the pooled effect, with clusters − 1 degrees of freedom
 * @param heterogeneity how much the effects differ
 * @param estimates number of pooled estimates
 * @param clusters number of clusters
 */
public record RandomEffects(
    StudentEstimate effect, Heterogeneity heterogeneity, int estimates, int clusters) {
  private static final int MOST_STEPS = 10_000;
  private static final double TOLERANCE = 1e-12;

  /**
   * How much effects differ beyond their standard errors.
   *
   * @param variance τ², the variance of the true effects
   * @param share I² of Higgins and Thompson (2002): the share of the variation that is not from
   *     standard errors, 0 to 1
   * @param q Cochran's Q, the weighted sum of squared deviations
   * @param pValue p-value of Q if all true effects are equal
   */
  public record Heterogeneity(double variance, double share, double q, double pValue) {}

  /**
   * Pools effects.
   *
   * @param estimates estimated effect of each matrix
   * @param errors standard error of each estimate, above 0
   * @param clusters cluster identifier of each estimate, such as its layer
   * @return the pooled effect; its interval is unbounded for a single cluster
   * @throws IllegalArgumentException if there are no estimates, the lengths differ, an estimate is
   *     not finite, or an error is not finite and above 0
   */
  public static RandomEffects of(double[] estimates, double[] errors, long[] clusters) {
    int count = estimates.length;
    if (count == 0 || errors.length != count || clusters.length != count) {
      throw new IllegalArgumentException(
          count + " estimates, " + errors.length + " errors, " + clusters.length + " clusters");
    }
    for (int i = 0; i < count; i++) {
      if (!Double.isFinite(estimates[i]) || !Double.isFinite(errors[i]) || !(errors[i] > 0)) {
        throw new IllegalArgumentException(
            "estimate " + i + " is " + estimates[i] + " with the error " + errors[i]);
      }
    }
    double[] variances = Arrays.stream(errors).map(error -> error * error).toArray();
    Weighted fixed = new Weighted(estimates, variances, 0);
    double q = fixed.deviations();
    double between = restrictedLikelihood(estimates, variances, fixed);
    Weighted random = new Weighted(estimates, variances, between);
    Map<Long, double[]> units = new HashMap<>(); // by cluster: weight and weighted sum
    for (int i = 0; i < count; i++) {
      double[] unit = units.computeIfAbsent(clusters[i], unused -> new double[2]);
      unit[0] += random.weights[i];
      unit[1] += random.weights[i] * estimates[i];
    }
    double squares =
        units.values().stream()
            .mapToDouble(unit -> unit[0] * Math.pow(unit[1] / unit[0] - random.mean, 2))
            .sum();
    double freedom = units.size() - 1.0;
    double error = freedom > 0 ? Math.sqrt(squares / (freedom * random.total)) : Double.NaN;
    return new RandomEffects(
        new StudentEstimate(random.mean, error, freedom),
        new Heterogeneity(
            between, q > 0 ? Math.max(0, (q - count + 1) / q) : 0, q, qTest(q, count)),
        count,
        units.size());
  }

  private static double qTest(double q, int count) {
    return count > 1 ? ChiSquaredDistribution.of(count - 1).survivalProbability(q) : 1;
  }

  /** A weighted mean, where an estimate has the variance of its error plus τ². */
  private static final class Weighted {
    private final double[] estimates;
    private final double[] weights;
    private final double total;
    private final double mean;

    Weighted(double[] estimates, double[] variances, double between) {
      this.estimates = estimates;
      this.weights = Arrays.stream(variances).map(own -> 1 / (own + between)).toArray();
      this.total = Arrays.stream(weights).sum();
      double sum = 0;
      for (int i = 0; i < weights.length; i++) {
        sum += weights[i] * estimates[i];
      }
      this.mean = sum / total;
    }

    double deviations() {
      double sum = 0;
      for (int i = 0; i < weights.length; i++) {
        sum += weights[i] * Math.pow(estimates[i] - mean, 2);
      }
      return sum;
    }
  }

  /**
   * Iterates Fisher scoring for τ² (Viechtbauer, Journal of Educational and Behavioral Statistics
   * 30(3), 2005). It starts at the estimate of DerSimonian and Laird (1986).
   */
  private static double restrictedLikelihood(
      double[] estimates, double[] variances, Weighted fixed) {
    double squares = Arrays.stream(fixed.weights).map(weight -> weight * weight).sum();
    double scale = fixed.total - squares / fixed.total;
    double between =
        scale > 0 ? Math.max(0, (fixed.deviations() - estimates.length + 1) / scale) : 0;
    double floor = Arrays.stream(variances).min().orElseThrow();
    for (int step = 0; step < MOST_STEPS && estimates.length > 1; step++) {
      Weighted now = new Weighted(estimates, variances, between);
      double excess = 0;
      double sum = 0;
      for (int i = 0; i < estimates.length; i++) {
        double weight = now.weights[i] * now.weights[i];
        excess += weight * (Math.pow(estimates[i] - now.mean, 2) - variances[i]);
        sum += weight;
      }
      double next = Math.max(0, excess / sum + 1 / now.total);
      boolean done = Math.abs(next - between) <= TOLERANCE * (next + floor);
      between = next;
      if (done) {
        break;
      }
    }
    return between;
  }
}
