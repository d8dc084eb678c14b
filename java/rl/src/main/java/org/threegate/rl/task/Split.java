package org.threegate.rl.task;

/**
 * A part of all possible problems, selected by a hash of their content. Splits that do not overlap
 * share no problem, regardless of how many problems are drawn and in which order.
 *
 * <pre>{@code
 * boolean held = Split.TEST.contains("12+34=");
 * }</pre>
 *
 * @param from the start of the split, as a share of the hash range from 0 to 1
 * @param to the end of the split, exclusive
 */
public record Split(double from, double to) {
  /** The first 90 % of the hash range. */
  public static final Split TRAIN = new Split(0, 0.9);

  /** The last 10 % of the hash range. */
  public static final Split TEST = new Split(0.9, 1);

  /** The whole hash range. */
  public static final Split ALL = new Split(0, 1);

  /**
   * Checks the range.
   *
   * @throws IllegalArgumentException when it is not within 0 and 1
   */
  public Split {
    if (!(from >= 0 && from < to && to <= 1)) {
      throw new IllegalArgumentException(
          "a split must have 0 <= from < to <= 1, but has from " + from + " and to " + to);
    }
  }

  /**
   * {@return whether a content belongs to the split}
   *
   * @param content a text that identifies a problem
   */
  public boolean contains(String content) {
    double place = (hash(content) >>> 11) * 0x1p-53;
    return place >= from && place < to;
  }

  /** Hashes with FNV-1a and a finalizer, so that similar contents have unrelated hashes. */
  private static long hash(String content) {
    long hash = 0xcbf29ce484222325L;
    for (int i = 0; i < content.length(); i++) {
      hash = (hash ^ content.charAt(i)) * 0x100000001b3L;
    }
    // The finalizer of SplittableRandom (Stafford's variant 13).
    hash = (hash ^ (hash >>> 30)) * 0xbf58476d1ce4e5b9L;
    hash = (hash ^ (hash >>> 27)) * 0x94d049bb133111ebL;
    return hash ^ (hash >>> 31);
  }
}
