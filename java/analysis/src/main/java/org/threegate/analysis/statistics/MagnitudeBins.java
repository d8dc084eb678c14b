package org.threegate.analysis.statistics;

import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;

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
    return of(IntStream.range(0, all.length).toArray(), all, all.length);
  }

  /**
   * Merges codes into bins, starting from the first.
   *
   * @param codes magnitude codes that entries have, ascending
   * @param all number of entries with each of them
   * @param most number of all magnitude codes, which is the end of the last bin
   * @return the bins
   */
  public static MagnitudeBins of(int[] codes, long[] all, int most) {
    int[] ends = new int[codes.length + 1];
    int count = 0;
    long left = 0;
    for (long entries : all) {
      left += entries;
    }
    long held = 0;
    for (int i = 0; i < codes.length; i++) {
      held += all[i];
      left -= all[i];
      if (held >= LEAST && left >= LEAST) {
        ends[count++] = codes[i] + 1;
        held = 0;
      }
    }
    ends[count++] = most;
    return new MagnitudeBins(Arrays.copyOf(ends, count));
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
   * {@return the bin of each of some magnitude codes}
   *
   * @param codes magnitude codes, ascending
   */
  private int[] binsOf(int[] codes) {
    int[] bins = new int[codes.length];
    int bin = 0;
    for (int i = 0; i < codes.length; i++) {
      while (codes[i] >= ends[bin]) {
        bin++;
      }
      bins[i] = bin;
    }
    return bins;
  }

  /**
   * {@return the number of entries in each bin, given the number for some codes}
   *
   * @param codes magnitude codes, ascending; no entry has another one
   * @param byCode number of entries with each of them
   */
  public long[] sums(int[] codes, long[] byCode) {
    int[] bins = binsOf(codes);
    long[] sums = new long[ends.length];
    for (int i = 0; i < codes.length; i++) {
      sums[bins[i]] += byCode[i];
    }
    return sums;
  }

  /**
   * Returns, for some codes, the share of entries in a set within the code's bin.
   *
   * @param codes magnitude codes, ascending; no entry has another one
   * @param all number of entries with each of them
   * @param set number of entries in the set with each of them
   * @return the shares, one per code
   */
  public double[] shares(int[] codes, long[] all, long[] set) {
    int[] bins = binsOf(codes);
    long[] entries = sums(codes, all);
    long[] members = sums(codes, set);
    double[] shares = new double[codes.length];
    for (int i = 0; i < codes.length; i++) {
      int bin = bins[i];
      shares[i] = entries[bin] == 0 ? 0 : members[bin] / (double) entries[bin];
    }
    return shares;
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
    return changedByBins(sums(all), sets.stream().map(this::sums).toList());
  }

  /**
   * Returns the expected number of entries in exactly 0, 1, … of several sets, as {@link
   * #changedByRuns}.
   *
   * @param entries number of entries by bin
   * @param members for each set, its number of entries by bin
   * @return expected counts; length: number of sets + 1
   */
  public double[] changedByBins(long[] entries, List<long[]> members) {
    double[] expected = new double[members.size() + 1];
    for (int bin = 0; bin < ends.length; bin++) {
      if (entries[bin] == 0) {
        continue;
      }
      double[] chances = new double[members.size() + 1];
      chances[0] = 1;
      for (int set = 0; set < members.size(); set++) {
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
