package org.threegate.analysis.statistics;

import java.util.Arrays;

/**
 * The overlap of two sets of entries compared with the magnitude-matched null. Under this null the
 * sets are independent among entries of similar magnitude. Small weights change more easily in
 * bf16; this null shows how much of an overlap that explains. It is analytic: a sum over bins of
 * hypergeometric counts.
 *
 * @param observed number of entries in both sets
 * @param expected expectation under the null
 * @param sd standard deviation under the null
 */
public record MagnitudeMatched(long observed, double expected, double sd) {
  /**
   * Computes the null. Arrays are indexed by magnitude code; codes are merged into {@link
   * MagnitudeBins}.
   *
   * @param all number of entries by code
   * @param first number of entries in the first set
   * @param second number of entries in the second set
   * @param both number of entries in both sets
   * @return the overlap under the null
   */
  public static MagnitudeMatched of(long[] all, long[] first, long[] second, long[] both) {
    MagnitudeBins bins = MagnitudeBins.of(all);
    return ofBins(bins.sums(all), bins.sums(first), bins.sums(second), Arrays.stream(both).sum());
  }

  /**
   * Computes the null. Arrays are indexed by bin of {@link MagnitudeBins}.
   *
   * @param entries number of entries by bin
   * @param inFirst number of entries in the first set
   * @param inSecond number of entries in the second set
   * @param inBoth number of entries in both sets, of all bins
   * @return the overlap under the null
   */
  public static MagnitudeMatched ofBins(
      long[] entries, long[] inFirst, long[] inSecond, long inBoth) {
    double expected = 0;
    double variance = 0;
    for (int bin = 0; bin < entries.length; bin++) {
      long n = entries[bin];
      long c = inFirst[bin];
      long m = inSecond[bin];
      expected += n > 0 ? m * (c / (double) n) : 0;
      variance += n > 1 ? (double) m * (n - m) / n * (c * (double) (n - c) / n) / (n - 1) : 0;
    }
    return new MagnitudeMatched(inBoth, expected, Math.sqrt(variance));
  }

  /**
   * {@return how many standard deviations the observation lies above the expectation; 0 if the
   * standard deviation is 0}
   */
  public double z() {
    return sd > 0 ? (observed - expected) / sd : 0;
  }
}
