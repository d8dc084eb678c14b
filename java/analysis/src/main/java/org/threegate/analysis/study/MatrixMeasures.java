package org.threegate.analysis.study;

import java.util.OptionalInt;

/**
 * The measures of the update of one matrix.
 *
 * @param name name of the matrix in the checkpoint
 * @param kind kind of matrix, such as {@code q_proj}
 * @param layer layer number; empty for a matrix outside the layers
 * @param sparsity share of entries that are unchanged in bf16
 * @param nss normalised spectral shift; the null has the same singular values in random directions
 * @param angle largest angle of the leading left subspace in radians, with the same null
 * @param gapLimited whether the singular value gap, rather than the update, decides the angle
 * @param principalOverlap overlap of the changed entries with M_princ; the null is
 *     magnitude-matched
 * @param lowOverlap overlap of the changed entries with M_low, with the same null
 * @param principalEnergy share of the update's energy in the leading directions of both sides; the
 *     null is isotropic
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
   * A measure with its null model.
   *
   * @param value observed value
   * @param nullMean mean under the null model; NaN if it was not sampled
   */
  public record Measure(double value, double nullMean) {}
}
