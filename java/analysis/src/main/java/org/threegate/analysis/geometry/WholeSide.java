package org.threegate.analysis.geometry;

/** The largest short side of a matrix whose singular values are all computed. */
final class WholeSide {
  /** The limit, as the native library reads it. */
  static final long LONGEST =
      longest(System.getenv().getOrDefault("THREEGATE_SVD_LONGEST_WHOLE", ""));

  private static final long MOST = 16384;
  private static final long LEAST = 256;

  private WholeSide() {}

  private static long longest(String chosen) {
    return chosen.isEmpty() ? MOST : Math.max(LEAST, Math.min(MOST, Long.parseLong(chosen)));
  }
}
