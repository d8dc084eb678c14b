package org.threegate.analysis.statistics;

import java.util.Arrays;
import org.apache.commons.statistics.distribution.NormalDistribution;
import org.apache.commons.statistics.distribution.TDistribution;

/**
 * The distribution of a measure under a null model.
 *
 * <pre>{@code
 * NullEstimate drift = NullEstimate.of("norm-matched", new double[] {0.0021, 0.0020, 0.0022});
 * System.out.println(drift.z(0.0035) + " standard deviations, p = " + drift.pValue(0.0035));
 * }</pre>
 *
 * @param model name of the null model
 * @param draws number of sampled updates; 0 if mean and standard deviation are in closed form
 * @param mean mean of the measure under the null
 * @param sd standard deviation of the measure of a single update
 */
public record NullEstimate(String model, int draws, double mean, double sd) {
  /**
   * Estimates mean and standard deviation (with draws − 1 degrees of freedom) from sampled
   * measures; NaN if there are too few.
   *
   * @param model name of the null model
   * @param draws measure of each sampled update
   * @return the estimate
   */
  public static NullEstimate of(String model, double[] draws) {
    double mean = Arrays.stream(draws).average().orElse(Double.NaN);
    double squares = Arrays.stream(draws).map(draw -> (draw - mean) * (draw - mean)).sum();
    double sd = draws.length > 1 ? Math.sqrt(squares / (draws.length - 1)) : Double.NaN;
    return new NullEstimate(model, draws.length, mean, sd);
  }

  /**
   * {@return an estimate in closed form}
   *
   * @param model name of the null model
   * @param mean mean of the measure under the null
   * @param sd standard deviation of the measure under the null
   */
  public static NullEstimate analytic(String model, double mean, double sd) {
    return new NullEstimate(model, 0, mean, sd);
  }

  /**
   * {@return how many standard deviations an observation lies above the mean; 0 if they are equal}
   *
   * @param observed measured value
   */
  public double z(double observed) {
    return observed == mean ? 0 : (observed - mean) / sd;
  }

  /**
   * {@return the two-sided p-value of an observation} It uses the normal distribution for a null in
   * closed form. For a sampled null it uses Student's distribution with draws − 1 degrees of
   * freedom and scale sd · √(1 + 1/draws). The result is 1 if the null is unknown.
   *
   * @param observed measured value
   */
  public double pValue(double observed) {
    double distance = Math.abs(z(observed));
    if (Double.isNaN(distance)) {
      return 1;
    }
    if (draws == 0) {
      return Math.min(1, 2 * NormalDistribution.of(0, 1).survivalProbability(distance));
    }
    double widened = distance / Math.sqrt(1 + 1.0 / draws);
    return Math.min(1, 2 * TDistribution.of(draws - 1).survivalProbability(widened));
  }
}
