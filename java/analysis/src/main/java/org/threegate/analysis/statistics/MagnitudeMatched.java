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
  /** Entries that a bin holds at least: finer bins have no statistics, coarser ones a trend. */
  private static final long LEAST = 64;

  /**
   * Arrays run over magnitude codes in order; neighbouring codes are merged from the first on until
   * a bin holds 64 entries, and the last bin takes the rest.
   *
   * @param all entries by code
   * @param first those in the first set
   * @param second those in the second
   * @param both those in both
   */
  public static MagnitudeMatched of(long[] all, long[] first, long[] second, long[] both) {
    double expected = 0;
    double variance = 0;
    long left = Arrays.stream(all).sum();
    long n = 0;
    long c = 0;
    long m = 0;
    for (int code = 0; code < all.length; code++) {
      n += all[code];
      c += first[code];
      m += second[code];
      left -= all[code];
      boolean full = n >= LEAST && left >= LEAST;
      if (!full && code < all.length - 1) {
        continue;
      }
      if (n > 0) {
        expected += m * (c / (double) n);
      }
      if (n > 1) {
        variance += (double) m * (n - m) / n * (c * (double) (n - c) / n) / (n - 1);
      }
      n = 0;
      c = 0;
      m = 0;
    }
    return new MagnitudeMatched(Arrays.stream(both).sum(), expected, Math.sqrt(variance));
  }

  /** How many standard deviations the observation lies above the expectation; 0 where sd is. */
  public double z() {
    return sd > 0 ? (observed - expected) / sd : 0;
  }
}
