package org.threegate.analysis.statistics;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Ranges of neighbouring bf16 magnitude codes that hold at least 64 entries each; the last takes
 * the rest. Finer bins have no statistics, coarser ones a trend within them.
 *
 * @param ends exclusive ends of the ranges, ascending; the last is the number of codes
 */
public record MagnitudeBins(int[] ends) {
  private static final long LEAST = 64;

  /**
   * Merges codes from the first on.
   *
   * @param all entries by code
   */
  public static MagnitudeBins of(long[] all) {
    List<Integer> ends = new ArrayList<>();
    long left = Arrays.stream(all).sum();
    long held = 0;
    for (int code = 0; code < all.length; code++) {
      held += all[code];
      left -= all[code];
      if (held >= LEAST && left >= LEAST) {
        ends.add(code + 1);
        held = 0;
      }
    }
    ends.add(all.length);
    return new MagnitudeBins(ends.stream().mapToInt(Integer::intValue).toArray());
  }

  /** Entries of each bin. */
  public long[] sums(long[] byCode) {
    long[] sums = new long[ends.length];
    for (int bin = 0, code = 0; bin < ends.length; bin++) {
      for (; code < ends[bin]; code++) {
        sums[bin] += byCode[code];
      }
    }
    return sums;
  }

  /** The share of entries in a set, by code: that of the code's bin. */
  public double[] shares(long[] all, long[] set) {
    long[] entries = sums(all);
    long[] members = sums(set);
    double[] shares = new double[all.length];
    for (int bin = 0, code = 0; bin < ends.length; bin++) {
      for (; code < ends[bin]; code++) {
        shares[code] = entries[bin] == 0 ? 0 : members[bin] / (double) entries[bin];
      }
    }
    return shares;
  }

  /**
   * How many entries would be in exactly 0, 1, … of several sets if, among entries of about the
   * same magnitude, the sets were chosen independently: a Poisson binomial in each bin.
   *
   * @param sets entries of each set by code
   */
  public double[] changedByRuns(long[] all, List<long[]> sets) {
    long[] entries = sums(all);
    List<long[]> members = sets.stream().map(this::sums).toList();
    double[] expected = new double[sets.size() + 1];
    for (int bin = 0; bin < ends.length; bin++) {
      if (entries[bin] == 0) {
        continue;
      }
      double[] chances = new double[sets.size() + 1];
      chances[0] = 1;
      for (int set = 0; set < sets.size(); set++) {
        double share = members.get(set)[bin] / (double) entries[bin];
        for (int count = set + 1; count >= 0; count--) {
          chances[count] =
              chances[count] * (1 - share) + (count > 0 ? chances[count - 1] * share : 0);
        }
      }
      for (int count = 0; count < expected.length; count++) {
        expected[count] += entries[bin] * chances[count];
      }
    }
    return expected;
  }
}
