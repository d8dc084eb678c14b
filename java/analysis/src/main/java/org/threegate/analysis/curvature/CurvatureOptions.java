package org.threegate.analysis.curvature;

/**
 * Options for measuring the curvature of an update.
 *
 * @param rankShare number of leading directions of the base, as a share of the shorter side
 * @param alpha share of entries in the masks
 * @param draws number of random directions of each kind, at least 2
 * @param probes number of probes of the eigenvalue density of each layer, at least 2; 0: do not
 *     measure it. Each probe needs twenty products with the whole sample
 * @param unit unit whose slopes are squared
 * @param tolerance relative tolerance of the decompositions
 * @param seed seed of the draws
 */
public record CurvatureOptions(
    double rankShare,
    double alpha,
    int draws,
    int probes,
    SlopeUnit unit,
    double tolerance,
    long seed) {
  /** Default options: a tenth of the directions, half of the entries, twenty draws. */
  public static final CurvatureOptions DEFAULT =
      new CurvatureOptions(0.1, 0.5, 20, 0, SlopeUnit.TOKEN, 1e-6, 0);

  /**
   * Validates the options.
   *
   * @throws IllegalArgumentException if one of them is out of its range
   */
  public CurvatureOptions {
    require(rankShare > 0 && rankShare <= 1, "rank fractions must be above 0 and at most 1");
    require(alpha > 0 && alpha < 1, "alpha must be between 0 and 1");
    require(draws >= 2, "draws must be at least 2");
    require(probes == 0 || probes >= 2, "probes must be 0 or at least 2");
    require(tolerance > 0 && tolerance < 1, "tolerance must be between 0 and 1");
  }

  private static void require(boolean holds, String text) {
    if (!holds) {
      throw new IllegalArgumentException(text);
    }
  }

  int rankOf(long shorter) {
    return (int) Math.max(1, Math.round(rankShare * shorter));
  }
}
