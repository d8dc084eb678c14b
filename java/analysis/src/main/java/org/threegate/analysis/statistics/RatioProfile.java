package org.threegate.analysis.statistics;

import java.util.Arrays;

/**
 * The ratio ρ_i = c_i / n of changed entries in each row or column, compared with independent
 * changes of the same density (binomial counts). The ratios are defined in arXiv 2511.08567,
 * section 2.2. The null model is an addition of this project.
 *
 * @param mean mean of the ratios, which is the density p
 * @param sd standard deviation of the ratios
 * @param max largest ratio
 * @param maxIndex index of the largest ratio
 * @param nullSd sqrt(p(1-p)/n): the standard deviation under the null
 * @param dispersionZ overdispersion relative to the null: (χ² - df) / sqrt(2 df), χ² = Σ (c_i -
 *     np)² / (np(1-p)), df = number of ratios - 1; approximately standard normal under the null; 0
 *     if the density is 0 or 1
 */
public record RatioProfile(
    double mean, double sd, double max, long maxIndex, double nullSd, double dispersionZ) {
  /**
   * Computes the profile.
   *
   * @param counts number of changed entries in each row
   * @param length number of entries per row
   * @return the ratios, compared with their null model
   */
  public static RatioProfile of(long[] counts, long length) {
    int rows = counts.length;
    if (rows == 0 || length == 0) {
      return new RatioProfile(0, 0, 0, 0, 0, 0);
    }
    double p = Arrays.stream(counts).sum() / ((double) rows * length);
    double squares = 0;
    int maxIndex = 0;
    for (int i = 0; i < rows; i++) {
      double difference = counts[i] / (double) length - p;
      squares += difference * difference;
      if (counts[i] > counts[maxIndex]) {
        maxIndex = i;
      }
    }
    double nullVariance = p * (1 - p) / length;
    double z = Dispersion.z(counts, p * length, p * (1 - p) * length);
    return new RatioProfile(
        p,
        Math.sqrt(squares / rows),
        counts[maxIndex] / (double) length,
        maxIndex,
        Math.sqrt(nullVariance),
        z);
  }
}
