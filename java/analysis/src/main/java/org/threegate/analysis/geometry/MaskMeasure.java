package org.threegate.analysis.geometry;

import org.threegate.analysis.diff.ChangeMap;

/**
 * Overlap of the changed entries with masks of the base matrix (arXiv 2511.08567, section 4.2).
 *
 * @param alpha share of entries in the principal and in the low mask
 * @param rank rank k of the reconstruction that defines principal entries
 * @param principal M_princ, the largest entries of the rank-k reconstruction
 * @param principalComplement all entries outside M_princ
 * @param low M_low, the smallest entries of W0
 * @param principalNotLow M_princ without M_low
 * @param safe union of M_low and the entries that are not principal
 * @param map coarse map of M_princ
 */
public record MaskMeasure(
    double alpha,
    int rank,
    Overlap principal,
    Overlap principalComplement,
    Overlap low,
    Overlap principalNotLow,
    Overlap safe,
    ChangeMap map) {
  MaskMeasure transposed() {
    return new MaskMeasure(
        alpha, rank, principal, principalComplement, low, principalNotLow, safe, map.transposed());
  }
}
