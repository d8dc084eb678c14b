package org.threegate.analysis.nullmodel;

import org.threegate.analysis.statistics.NullEstimate;

/**
 * What random updates of one null model measure, draw by draw, at one rank.
 *
 * @param model its label
 * @param nss NSS
 * @param rSpec r_spec
 * @param angleU radians
 * @param angleV radians
 * @param principalEnergy share of the update in the leading directions of both sides
 * @param leftEnergy of the left side
 * @param rightEnergy of the right side
 * @param bandLeft mean and sd over draws of each left angle: two rows of k
 * @param bandRight the same on the right
 */
public record NullDraws(
    String model,
    double[] nss,
    double[] rSpec,
    double[] angleU,
    double[] angleV,
    double[] principalEnergy,
    double[] leftEnergy,
    double[] rightEnergy,
    double[][] bandLeft,
    double[][] bandRight) {
  /** An estimate from one of the arrays. */
  public NullEstimate estimate(double[] draws) {
    return NullEstimate.of(model, draws);
  }

  /** Returns the draws for the transposed matrices. */
  public NullDraws transposed() {
    return new NullDraws(
        model,
        nss,
        rSpec,
        angleV,
        angleU,
        principalEnergy,
        rightEnergy,
        leftEnergy,
        bandRight,
        bandLeft);
  }
}
