package org.threegate.rl.task;

/**
 * A part of all problems there can be, by their content: whichever order they are drawn in and
 * however many, one that is in a part is in no other that does not overlap it.
 *
 * <pre>{@code
 * boolean held = Split.TEST.contains("12+34=");
 * }</pre>
 *
 * @param from share of all contents before it
 * @param to share up to its end
 */
public record Split(double from, double to) {
  /** Nine tenths. */
  public static final Split TRAIN = new Split(0, 0.9);

  /** The rest. */
  public static final Split TEST = new Split(0.9, 1);

  /** All of them. */
  public static final Split ALL = new Split(0, 1);

  public Split {
    if (!(from >= 0 && from < to && to <= 1)) {
      throw new IllegalArgumentException("a part from " + from + " to " + to);
    }
  }

  /** Whether a content is in it. */
  public boolean contains(String content) {
    double place = (hash(content) >>> 11) * 0x1p-53;
    return place >= from && place < to;
  }

  /** FNV-1a, whose bits are then mixed: neighbours such as 12+34 and 12+35 share nothing. */
  private static long hash(String content) {
    long hash = 0xcbf29ce484222325L;
    for (int i = 0; i < content.length(); i++) {
      hash = (hash ^ content.charAt(i)) * 0x100000001b3L;
    }
    // The finaliser of SplittableRandom (Stafford's thirteenth variant).
    hash = (hash ^ (hash >>> 30)) * 0xbf58476d1ce4e5b9L;
    hash = (hash ^ (hash >>> 27)) * 0x94d049bb133111ebL;
    return hash ^ (hash >>> 31);
  }
}
