package org.threegate.analysis.curvature;

import java.util.Arrays;

/**
 * A Monte Carlo estimate with its standard error.
 *
 * <pre>{@code
 * Estimate mean = Estimate.of(new double[] {1.9, 2.1, 2.0});
 * System.out.println(mean.value() + " ± " + mean.se());
 * }</pre>
 *
 * @param value estimated value
 * @param se standard error of the value; NaN for a single sample
 * @param samples number of samples
 */
public record Estimate(double value, double se, int samples) {
  /**
   * {@return the mean of independent samples}
   *
   * @param samples independent samples; without any the mean is NaN
   */
  public static Estimate of(double[] samples) {
    double mean = Arrays.stream(samples).average().orElse(Double.NaN);
    double squares = Arrays.stream(samples).map(sample -> (sample - mean) * (sample - mean)).sum();
    int count = samples.length;
    double error = count > 1 ? Math.sqrt(squares / (count - 1) / count) : Double.NaN;
    return new Estimate(mean, error, count);
  }

  /** Returns the square root of the estimate, with its error to first order. */
  Estimate squareRoot() {
    double root = Math.sqrt(Math.max(0, value));
    return new Estimate(root, root > 0 ? se / (2 * root) : 0, samples);
  }
}
