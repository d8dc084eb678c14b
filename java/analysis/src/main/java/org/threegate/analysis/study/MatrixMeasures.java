package org.threegate.analysis.study;

import java.util.OptionalInt;

/**
 * What was measured of the update of one matrix.
 *
 * @param name of the matrix in the checkpoint
 * @param kind such as {@code q_proj}
 * @param layer its number, where it has one
 * @param sparsity share of entries that bf16 does not show as changed
 * @param nss normalised spectral shift; the null has the same singular values in random directions
 * @param angle largest angle of the leading left subspace in radians, with the same null
 * @param gapLimited whether the gap, and not the update, decides the angle
 * @param principalOverlap overlap of the changed entries with M_princ; the null is by magnitude
 *     alone
 * @param lowOverlap overlap with M_low, with the same null
 * @param principalEnergy share of the update in the leading directions of both sides; the null is
 *     isotropic
 */
public record MatrixMeasures(
    String name,
    String kind,
    OptionalInt layer,
    double sparsity,
    Measure nss,
    Measure angle,
    boolean gapLimited,
    Measure principalOverlap,
    Measure lowOverlap,
    Measure principalEnergy) {
  /**
   * A measure beside its null model.
   *
   * @param value that was observed
   * @param nullMean that the null model gives; not a number where it was not drawn
   */
  public record Measure(double value, double nullMean) {}
}
