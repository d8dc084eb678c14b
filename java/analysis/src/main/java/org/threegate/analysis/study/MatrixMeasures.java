package org.threegate.analysis.study;

import java.util.OptionalInt;

/**
 * What was measured of one matrix' update, each beside what a null model gives: singular values in
 * random directions for drift and angle, magnitude alone for overlaps, an isotropic update for the
 * energy.
 *
 * @param sparsity share of entries that bf16 does not show as changed
 * @param drift NSS
 * @param angle the largest of the leading left subspace, radians
 * @param gapLimited the gap, and not the update, decides the angle
 * @param principal overlap of the changed entries with M_princ
 * @param low with M_low
 * @param energy share of the update in the leading directions of both sides
 */
public record MatrixMeasures(
    String name,
    OptionalInt layer,
    String kind,
    double sparsity,
    double drift,
    double driftNull,
    double angle,
    double angleNull,
    boolean gapLimited,
    double principal,
    double principalNull,
    double low,
    double lowNull,
    double energy,
    double energyNull) {}
