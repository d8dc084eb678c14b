package org.threegate.analysis.statistics;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Ranges of adjacent bf16 magnitude codes with at least 64 entries each; the last range takes the
 * rest. Smaller bins have too few entries for stable statistics. Larger bins mix magnitudes with
 * different rates of change.
 *
 * @param ends exclusive ends of the ranges, ascending; the last is the number of codes
 */
public record MagnitudeBins(int[] ends) {
  /** Copies the arrays. */
  public MagnitudeBins {
    ends = ends.clone();
  }

  /** {@return a copy of the exclusive ends of the ranges} */
  @Override
  public int[] ends() {
    return ends.clone();
  }

  private static final long LEAST = 64;

  /**
   * Merges codes into bins, starting from the first.
   *
   * @param all number of entries by magnitude code
   * @return the bins
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

  /** {@return the bin of each magnitude code, from 0} */
  public int[] binOfCode() {
    int[] bins = new int[ends[ends.length - 1]];
    for (int bin = 0, code = 0; bin < ends.length; bin++) {
      for (; code < ends[bin]; code++) {
        bins[code] = bin;
      }
    }
    return bins;
  }

  /**
   * {@return the number of entries in each bin, given the number by code}
   *
   * @param byCode number of entries by magnitude code
   */
  public long[] sums(long[] byCode) {
    long[] sums = new long[ends.length];
    for (int bin = 0, code = 0; bin < ends.length; bin++) {
      for (; code < ends[bin]; code++) {
        sums[bin] += byCode[code];
      }
    }
    return sums;
  }

  /**
   * Returns, for each code, the share of entries in a set within the code's bin.
   *
   * @param all number of entries by magnitude code
   * @param set number of entries in the set, by magnitude code
   * @return the shares, one per code; 0 in a bin without entries
   */
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
   * Returns the expected number of entries in exactly 0, 1, … of several sets. The null: among
   * entries of similar magnitude, the sets are independent. The count in each bin follows a Poisson
   * binomial distribution.
   *
   * @param all number of entries by code
   * @param sets for each set, its number of entries by code
   * @return expected counts; length: number of sets + 1
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
