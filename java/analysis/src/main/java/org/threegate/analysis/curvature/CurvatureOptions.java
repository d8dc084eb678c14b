package org.threegate.analysis.curvature;

/**
 * How an update's curvature is measured.
 *
 * @param rankShare leading directions of the base, as a share of the shorter side
 * @param alpha share of entries in the masks
 * @param draws random directions of each kind, 2 at least
 * @param probes of the density of each layer's eigenvalues, 2 at least; 0: none is measured, for
 *     each takes twenty products with the whole sample
 * @param unit whose slopes are squared
 * @param tolerance of the decompositions
 * @param seed of the draws
 */
public record CurvatureOptions(
    double rankShare,
    double alpha,
    int draws,
    int probes,
    SlopeUnit unit,
    double tolerance,
    long seed) {
  /** A tenth of the directions, half of the entries, eight draws. */
  public static final CurvatureOptions DEFAULT =
      new CurvatureOptions(0.1, 0.5, 8, 0, SlopeUnit.TOKEN, 1e-6, 0);

  public CurvatureOptions {
    require(rankShare > 0 && rankShare <= 1, "a rank fraction is above 0 and at most 1");
    require(alpha > 0 && alpha < 1, "alpha lies between 0 and 1");
    require(draws >= 2, "at least 2 draws");
    require(probes == 0 || probes >= 2, "at least 2 probes of a density, or none");
    require(tolerance > 0 && tolerance < 1, "the tolerance lies between 0 and 1");
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
