package org.threegate.analysis.study;

import java.util.OptionalInt;

/**
 * What was measured of one matrix' update, each beside what a null model gives: singular values in
 * random directions for drift and angle, magnitude alone for overlaps, an isotropic update for the
 * energy.
 *
 * @param sparsity share of entries that bf16 does not show as changed
 * @param nss normalised spectral shift
 * @param angle the largest of the leading left subspace, radians
 * @param gapLimited the gap, and not the update, decides the angle
 * @param principalOverlap overlap of the changed entries with M_princ
 * @param lowOverlap with M_low
 * @param principalEnergy share of the update in the leading directions of both sides
 */
public record MatrixMeasures(
    String name,
    String kind,
    OptionalInt layer,
    double sparsity,
    double nss,
    double nssNull,
    double angle,
    double angleNull,
    boolean gapLimited,
    double principalOverlap,
    double principalOverlapNull,
    double lowOverlap,
    double lowOverlapNull,
    double principalEnergy,
    double principalEnergyNull) {}
