package org.threegate.analysis.statistics;

import java.util.Arrays;

/**
 * What two sets of entries would have in common if, among entries of about the same magnitude, they
 * were chosen independently: small weights change more easily in bf16, and this says how much of an
 * overlap is only that. Analytic: the sum over bins of hypergeometric counts.
 *
 * @param observed entries in both sets
 * @param expected under this null
 * @param sd under this null
 */
public record MagnitudeMatched(long observed, double expected, double sd) {
  /**
   * Arrays run over magnitude codes in order, merged as {@link MagnitudeBins} says.
   *
   * @param all entries by code
   * @param first those in the first set
   * @param second those in the second
   * @param both those in both
   */
  public static MagnitudeMatched of(long[] all, long[] first, long[] second, long[] both) {
    MagnitudeBins bins = MagnitudeBins.of(all);
    long[] entries = bins.sums(all);
    long[] inFirst = bins.sums(first);
    long[] inSecond = bins.sums(second);
    double expected = 0;
    double variance = 0;
    for (int bin = 0; bin < entries.length; bin++) {
      long n = entries[bin];
      long c = inFirst[bin];
      long m = inSecond[bin];
      expected += n > 0 ? m * (c / (double) n) : 0;
      variance += n > 1 ? (double) m * (n - m) / n * (c * (double) (n - c) / n) / (n - 1) : 0;
    }
    return new MagnitudeMatched(Arrays.stream(both).sum(), expected, Math.sqrt(variance));
  }

  /** How many standard deviations the observation lies above the expectation; 0 where sd is. */
  public double z() {
    return sd > 0 ? (observed - expected) / sd : 0;
  }
}
