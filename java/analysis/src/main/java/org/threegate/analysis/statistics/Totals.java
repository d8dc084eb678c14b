package org.threegate.analysis.statistics;

/**
 * Additive counts and sums of a diff, and the measures derived from them.
 *
 * @param counts numbers of entries
 * @param sums sums over finite entries
 */
public record Totals(Counts counts, Sums sums) {
  public static final Totals ZERO =
      new Totals(new Counts(0, 0, 0, 0, 0, 0, 0), new Sums(0, 0, 0, 0));

  /**
   * Numbers of entries. The fields of {@code tg_diff_result} with these names define them.
   *
   * @param total all entries
   * @param changed entries that differ after rounding to bf16 (arXiv 2511.08567, Definition 2.1)
   * @param changedBits entries whose bits differ after rounding to bf16
   * @param changedStored entries that differ as stored
   * @param hidden entries that differ as stored and agree after rounding to bf16
   * @param nonFinite entries that are not finite in one of the matrices
   * @param signFlips entries whose sign changed
   */
  public record Counts(
      long total,
      long changed,
      long changedBits,
      long changedStored,
      long hidden,
      long nonFinite,
      long signFlips) {
    Counts plus(Counts other) {
      return new Counts(
          total + other.total,
          changed + other.changed,
          changedBits + other.changedBits,
          changedStored + other.changedStored,
          hidden + other.hidden,
          nonFinite + other.nonFinite,
          signFlips + other.signFlips);
    }
  }

  /**
   * Sums over the entries that are finite in both matrices.
   *
   * @param baseSquares Σ w0²
   * @param deltaSquares Σ Δw²
   * @param deltaDotBase Σ Δw·w0
   * @param maxAbs max |Δw|
   */
  public record Sums(double baseSquares, double deltaSquares, double deltaDotBase, double maxAbs) {
    Sums plus(Sums other) {
      return new Sums(
          baseSquares + other.baseSquares,
          deltaSquares + other.deltaSquares,
          deltaDotBase + other.deltaDotBase,
          Math.max(maxAbs, other.maxAbs));
    }
  }

  /**
   * {@return the totals of two disjoint sets of entries}
   *
   * @param other totals of the other set
   */
  public Totals plus(Totals other) {
    return new Totals(counts.plus(other.counts), sums.plus(other.sums));
  }

  /**
   * {@return the sparsity 1 - changed/total (arXiv 2511.08567, Definition 2.2); 1 for an empty
   * tensor}
   */
  public double sparsity() {
    return counts.total == 0 ? 1 : 1 - counts.changed / (double) counts.total;
  }

  /** {@return ‖ΔW‖_F, the Frobenius norm of the update} */
  public double frobenius() {
    return Math.sqrt(sums.deltaSquares);
  }

  /** {@return ‖ΔW‖_F / ‖W0‖_F; 0 if nothing changed, NaN if W0 is zero and ΔW is not} */
  public double relativeFrobenius() {
    if (sums.deltaSquares == 0) {
      return 0;
    }
    return Ratio.of(Math.sqrt(sums.deltaSquares), Math.sqrt(sums.baseSquares));
  }

  /** {@return the cosine of the angle between ΔW and W0; NaN if one of them is zero} */
  public double cosine() {
    return Ratio.of(sums.deltaDotBase, Math.sqrt(sums.deltaSquares) * Math.sqrt(sums.baseSquares));
  }

  /**
   * {@return the standard deviation of the cosine of an isotropic ΔW: 1/√(finite entries)} The mean
   * is 0. It is NaN if no entry is finite.
   */
  public double cosineNullSd() {
    return Ratio.of(1, Math.sqrt(counts.total - counts.nonFinite));
  }
}
