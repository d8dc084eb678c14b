package org.threegate.analysis.statistics;

import java.util.Arrays;
import org.apache.commons.statistics.distribution.NormalDistribution;
import org.apache.commons.statistics.distribution.TDistribution;

/**
 * What a measure would be of an update that knows nothing of the matrix but what a null model says.
 *
 * <pre>{@code
 * NullEstimate drift = NullEstimate.of("norm-matched", new double[] {0.0021, 0.0020, 0.0022});
 * System.out.println(drift.z(0.0035) + " standard deviations, p = " + drift.pValue(0.0035));
 * }</pre>
 *
 * @param model name of the null model
 * @param draws how many random updates were measured; 0 where mean and sd are in closed form
 * @param sd of one update's measure
 */
public record NullEstimate(String model, int draws, double mean, double sd) {
  /** Mean and sd (with draws − 1) of drawn measures; NaN where there are too few. */
  public static NullEstimate of(String model, double[] draws) {
    double mean = Arrays.stream(draws).average().orElse(Double.NaN);
    double squares = Arrays.stream(draws).map(draw -> (draw - mean) * (draw - mean)).sum();
    double sd = draws.length > 1 ? Math.sqrt(squares / (draws.length - 1)) : Double.NaN;
    return new NullEstimate(model, draws.length, mean, sd);
  }

  /** In closed form. */
  public static NullEstimate analytic(String model, double mean, double sd) {
    return new NullEstimate(model, 0, mean, sd);
  }

  /**
   * How many standard deviations an observation lies above the mean; 0 where both agree exactly.
   */
  public double z(double observed) {
    return observed == mean ? 0 : (observed - mean) / sd;
  }

  /**
   * The probability of a measure at least as far from the mean on either side: of the normal
   * distribution, or, where mean and sd are themselves estimates, of Student's with draws − 1
   * degrees of freedom and sd · √(1 + 1/draws). 1 where nothing is known.
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
