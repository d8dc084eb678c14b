package org.threegate.analysis.statistics;

/**
 * The smallest effects of interest. A verdict for or against a claim needs an effect beyond them;
 * an effect within them on both sides is consistent with chance.
 *
 * @param oddsRatio smallest odds ratio of an overlap, above 1
 * @param ratio smallest ratio of a measure to its null model, above 1
 */
public record SmallestEffect(double oddsRatio, double ratio) {
  /** Default: an odds ratio of 1.1, and a ratio of 1.25. */
  public static final SmallestEffect DEFAULT = new SmallestEffect(1.1, 1.25);

  /**
   * Validates the effects.
   *
   * @throws IllegalArgumentException if one of them is not above 1
   */
  public SmallestEffect {
    if (!(oddsRatio > 1) || !(ratio > 1) || !Double.isFinite(oddsRatio * ratio)) {
      throw new IllegalArgumentException("a smallest effect must be a ratio above 1");
    }
  }

  /** The scale on which effects of a claim are measured. */
  public enum Scale {
    /** The odds ratio of membership in two sets. */
    ODDS_RATIO("odds ratio"),
    /** The ratio of the measure to its value under a null model. */
    RATIO("ratio");

    private final String label;

    Scale(String label) {
      this.label = label;
    }

    /** {@return the name in reports} */
    public String label() {
      return label;
    }
  }

  /**
   * {@return the smallest ratio on a scale}
   *
   * @param scale scale of the claim's effects
   */
  public double on(Scale scale) {
    return scale == Scale.ODDS_RATIO ? oddsRatio : ratio;
  }
}
