package org.threegate.analysis.statistics;

import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.LongStream;

/**
 * The mean effect over matrices, by random effects: see {@link RandomEffects}.
 *
 * <p>Matrices of one layer are not independent, so layers are the units of the standard error. With
 * fewer than five layers their spread says too little, and each matrix counts as a unit. The error
 * is never below the one that the errors of the matrices give.
 *
 * <pre>{@code
 * PooledEffect pooled =
 *     PooledEffect.of(
 *         List.of(new Effect(0.2, 0.1, 19), new Effect(0.3, 0.1, 19)), List.of("0", "1"));
 * System.out.println(pooled.effect().ratio() + " over " + pooled.matrices() + " matrices");
 * }</pre>
 *
 * @param effect mean effect with its standard error
 * @param pValue p-value that the null explains the matrices
 * @param tau standard deviation of the true effects over matrices
 * @param heterogeneity I², the share of the variance between matrices that is not sampling error
 * @param matrices number of matrices
 * @param clusters number of units: layers, or matrices if there are fewer than five layers
 */
public record PooledEffect(
    Effect effect, double pValue, double tau, double heterogeneity, int matrices, int clusters) {
  /** Fewest layers whose spread gives a standard error. */
  private static final int FEWEST_LAYERS = 5;

  /** Fewest matrices whose spread does. */
  private static final int FEWEST_MATRICES = 3;

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
    double[] errors = effects.stream().mapToDouble(own -> Math.max(own.se(), LEAST_SE)).toArray();
    RandomEffects pooled =
        RandomEffects.of(
            effects.stream().mapToDouble(Effect::log).toArray(), errors, units(layers));
    double between = pooled.heterogeneity().variance();
    double ofErrors =
        1 / Math.sqrt(Arrays.stream(errors).map(error -> 1 / (error * error + between)).sum());
    StudentEstimate mean = pooled.effect();
    Effect effect =
        count < FEWEST_MATRICES
            ? new Effect(
                mean.value(),
                ofErrors,
                effects.stream().mapToDouble(Effect::df).min().orElseThrow())
            : new Effect(mean.value(), Math.max(mean.error(), ofErrors), mean.freedom());
    return new PooledEffect(
        effect,
        pValue(effect, effects),
        Math.sqrt(between),
        pooled.heterogeneity().share(),
        count,
        pooled.clusters());
  }

  private static long[] units(List<String> layers) {
    Map<String, Long> numbers = new LinkedHashMap<>();
    layers.forEach(layer -> numbers.putIfAbsent(layer, (long) numbers.size()));
    return numbers.size() < FEWEST_LAYERS
        ? LongStream.range(0, layers.size()).toArray()
        : layers.stream().mapToLong(numbers::get).toArray();
  }

  /**
   * Combines two tests, of which the smaller p-value counts twice. One tests the mean. The other is
   * twice the median p-value of the matrices, which holds for matrices that depend on each other in
   * any way (Rüger, Metrika 25, 1978).
   */
  private static double pValue(Effect mean, List<Effect> effects) {
    double[] each = effects.stream().mapToDouble(Effect::pValue).sorted().toArray();
    double median = effects.size() == 1 ? 1 : 2 * each[each.length / 2];
    return effects.size() == 1
        ? effects.get(0).pValue()
        : Math.min(1, 2 * Math.min(mean.pValue(), median));
  }

  /**
   * {@return the number of units that would show, four times out of five, on which side of the
   * bound the effect lies, if this effect is the true one} It is infinite for an effect at the
   * bound.
   *
   * @param bound smallest effect of interest, as a logarithm
   */
  public double clustersToDecide(double bound) {
    return effect.estimate().unitsToSettle(clusters, Math.copySign(bound, effect.log()));
  }
}
