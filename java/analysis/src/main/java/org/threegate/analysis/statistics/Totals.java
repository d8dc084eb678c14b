package org.threegate.analysis.statistics;

/**
 * Additive counts and sums of a diff, and the measures derived from them.
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

  /**
   * Returns the sparsity 1 - changed/total (arXiv 2511.08567, Definition 2.2); 1 for an empty
   * tensor.
   */
  public double sparsity() {
    return total == 0 ? 1 : 1 - changed / (double) total;
  }

  /** Returns ‖ΔW‖_F, the Frobenius norm of the update. */
  public double frobenius() {
    return Math.sqrt(deltaSquares);
  }

  /** Returns ‖ΔW‖_F / ‖W0‖_F; 0 if nothing changed, NaN if W0 is zero and ΔW is not. */
  public double relativeFrobenius() {
    if (deltaSquares == 0) {
      return 0;
    }
    return baseSquares == 0 ? Double.NaN : Math.sqrt(deltaSquares) / Math.sqrt(baseSquares);
  }

  /** Returns the cosine of the angle between ΔW and W0; NaN if one of them is zero. */
  public double cosine() {
    return deltaDotBase / (Math.sqrt(deltaSquares) * Math.sqrt(baseSquares));
  }

  /**
   * Returns the standard deviation of the cosine of an isotropic ΔW: 1/√(finite entries). The mean
   * is 0.
   */
  public double cosineNullSd() {
    return 1 / Math.sqrt(total - nonFinite);
  }
}
