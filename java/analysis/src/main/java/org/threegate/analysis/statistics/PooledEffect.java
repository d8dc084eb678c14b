package org.threegate.analysis.statistics;

import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * The mean effect over matrices, as a random-effects meta-analysis.
 *
 * <p>True effects differ between matrices, with the variance τ² of DerSimonian and Laird
 * (Controlled Clinical Trials 7(3), 1986). Matrices of one layer are not independent, so the
 * standard error is computed from the sums over layers (Hedges, Tipton and Johnson, Research
 * Synthesis Methods 1(1), 2010), with one degree of freedom less than there are layers. It is never
 * below the error that independent matrices would give. With fewer than three layers, each matrix
 * counts as a layer.
 *
 * <pre>{@code
 * PooledEffect pooled =
 *     PooledEffect.of(
 *         List.of(new Effect(0.2, 0.1, 19), new Effect(0.3, 0.1, 19)), List.of("0", "1"));
 * System.out.println(pooled.effect().ratio() + " over " + pooled.matrices() + " matrices");
 * }</pre>
 *
 * @param effect mean effect with its standard error
 * @param tau standard deviation of the true effects over matrices
 * @param heterogeneity I², the share of the variance between matrices that is not sampling error
 * @param matrices number of matrices
 * @param clusters number of independent groups: layers, or matrices if there are fewer than three
 *     layers
 */
public record PooledEffect(
    Effect effect, double tau, double heterogeneity, int matrices, int clusters) {
  /** Fewest groups whose spread estimates a standard error. */
  private static final int FEWEST_CLUSTERS = 3;

  /** Smallest standard error of a matrix, so that no matrix has an infinite weight. */
  private static final double LEAST_SE = 1e-9;

  /**
   * Pools the effects of matrices.
   *
   * @param effects defined effects, at least one
   * @param layers layer of each matrix
   * @return the pooled effect
   * @throws IllegalArgumentException if there are no effects or the lengths differ
   */
  public static PooledEffect of(List<Effect> effects, List<String> layers) {
    if (effects.isEmpty() || effects.size() != layers.size()) {
      throw new IllegalArgumentException(
          layers.size() + " layers for " + effects.size() + " effects");
    }
    int count = effects.size();
    double[] values = effects.stream().mapToDouble(Effect::log).toArray();
    double[] variances =
        effects.stream()
            .mapToDouble(effect -> Math.pow(Math.max(effect.se(), LEAST_SE), 2))
            .toArray();
    double[] weights = Arrays.stream(variances).map(variance -> 1 / variance).toArray();
    double fixed = mean(values, weights);
    double spread = 0;
    double squares = 0;
    for (int i = 0; i < count; i++) {
      spread += weights[i] * (values[i] - fixed) * (values[i] - fixed);
      squares += weights[i] * weights[i];
    }
    double sum = Arrays.stream(weights).sum();
    double scale = sum - squares / sum;
    double excess = Math.max(0, spread - (count - 1));
    double variance = scale > 0 ? excess / scale : 0;
    for (int i = 0; i < count; i++) {
      weights[i] = 1 / (variances[i] + variance);
    }
    double pooled = mean(values, weights);
    double total = Arrays.stream(weights).sum();
    boolean byLayer = layers.stream().distinct().count() >= FEWEST_CLUSTERS;
    Map<String, Double> groups = new HashMap<>();
    for (int i = 0; i < count; i++) {
      groups.merge(
          byLayer ? layers.get(i) : Integer.toString(i),
          weights[i] * (values[i] - pooled),
          Double::sum);
    }
    double least = effects.stream().mapToDouble(Effect::df).min().orElseThrow();
    double se = Math.sqrt(1 / total);
    double df = least;
    int clusters = groups.size();
    if (clusters >= FEWEST_CLUSTERS) {
      double robust = groups.values().stream().mapToDouble(own -> own * own).sum();
      se = Math.max(se, Math.sqrt(robust * clusters / (clusters - 1)) / total);
      df = clusters - 1;
    }
    return new PooledEffect(
        new Effect(pooled, se, df),
        Math.sqrt(variance),
        spread > 0 ? excess / spread : 0,
        count,
        clusters);
  }

  private static double mean(double[] values, double[] weights) {
    double sum = 0;
    double total = 0;
    for (int i = 0; i < values.length; i++) {
      sum += weights[i] * values[i];
      total += weights[i];
    }
    return sum / total;
  }

  /**
   * {@return whether the effect is smaller than a bound, by two one-sided tests at 5 %} These hold
   * if the 90 % interval lies within the bound on both sides (Schuirmann, Journal of
   * Pharmacokinetics and Biopharmaceutics 15, 1987).
   *
   * @param bound smallest effect of interest, as a logarithm
   */
  public boolean isSmallerThan(double bound) {
    ClusteredMean.Interval interval = effect.interval(0.9);
    return interval.low() > -bound && interval.high() < bound;
  }

  /**
   * {@return the number of groups whose 95 % interval would exclude the bound, if this effect is
   * the true one} It is infinite for an effect at the bound itself.
   *
   * @param bound smallest effect of interest, as a logarithm
   */
  public double clustersToDecide(double bound) {
    ClusteredMean.Interval interval = effect.interval(0.95);
    double half = (interval.high() - interval.low()) / 2;
    double distance = Math.abs(Math.abs(effect.log()) - bound);
    return Math.ceil(clusters * Math.pow(half / distance, 2));
  }
}
