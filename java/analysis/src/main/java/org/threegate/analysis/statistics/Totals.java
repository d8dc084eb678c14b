package org.threegate.analysis.statistics;

/**
 * Additive counts and sums of a diff, and what follows from them.
 *
 * @param baseSquares Σ w0² over the entries finite on both sides
 * @param deltaSquares Σ Δw²
 * @param deltaDotBase Σ Δw·w0
 */
public record Totals(
    long total,
    long changed,
    long changedBits,
    long changedStored,
    long hidden,
    long nonFinite,
    long signFlips,
    double baseSquares,
    double deltaSquares,
    double deltaDotBase,
    double maxAbs) {
  public static final Totals ZERO = new Totals(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

  public Totals plus(Totals other) {
    return new Totals(
        total + other.total,
        changed + other.changed,
        changedBits + other.changedBits,
        changedStored + other.changedStored,
        hidden + other.hidden,
        nonFinite + other.nonFinite,
        signFlips + other.signFlips,
        baseSquares + other.baseSquares,
        deltaSquares + other.deltaSquares,
        deltaDotBase + other.deltaDotBase,
        Math.max(maxAbs, other.maxAbs));
  }

  /** 1 - changed/total (arXiv 2511.08567, Definition 2.2); 1 for an empty tensor. */
  public double sparsity() {
    return total == 0 ? 1 : 1 - changed / (double) total;
  }

  /** ‖ΔW‖_F. */
  public double frobenius() {
    return Math.sqrt(deltaSquares);
  }

  /** ‖ΔW‖_F / ‖W0‖_F; 0 when nothing changed, not a number when W0 is zero and ΔW is not. */
  public double relativeFrobenius() {
    if (deltaSquares == 0) {
      return 0;
    }
    return baseSquares == 0 ? Double.NaN : Math.sqrt(deltaSquares) / Math.sqrt(baseSquares);
  }

  /** Cosine of the angle between ΔW and W0; not a number when one of them is zero. */
  public double cosine() {
    return deltaDotBase / (Math.sqrt(deltaSquares) * Math.sqrt(baseSquares));
  }

  /** Standard deviation of the cosine of an isotropic ΔW: 1/√(finite entries); its mean is 0. */
  public double cosineNullSd() {
    return 1 / Math.sqrt(total - nonFinite);
  }
}
