package org.threegate.analysis.curvature;

import java.util.Arrays;

/**
 * A number that random samples give.
 *
 * <pre>{@code
 * Estimate mean = Estimate.of(new double[] {1.9, 2.1, 2.0});
 * System.out.println(mean.value() + " ± " + mean.se());
 * }</pre>
 *
 * @param se of the value; NaN where one sample alone cannot tell
 * @param samples how many there were
 */
public record Estimate(double value, double se, int samples) {
  /** The mean of independent samples. */
  public static Estimate of(double[] samples) {
    double mean = Arrays.stream(samples).average().orElse(Double.NaN);
    double squares = Arrays.stream(samples).map(sample -> (sample - mean) * (sample - mean)).sum();
    int count = samples.length;
    double error = count > 1 ? Math.sqrt(squares / (count - 1) / count) : Double.NaN;
    return new Estimate(mean, error, count);
  }

  /** The square root, its error to first order. */
  Estimate squareRoot() {
    double root = Math.sqrt(Math.max(0, value));
    return new Estimate(root, root > 0 ? se / (2 * root) : 0, samples);
  }
}
