package org.threegate.analysis.nullmodel;

import org.threegate.analysis.statistics.NullEstimate;

/**
 * What random updates of one null model measure at one rank. Arrays have one element for each draw.
 *
 * @param model that the updates were drawn from
 * @param nss NSS
 * @param rSpec r_spec
 * @param angles between the leading subspaces before and after
 * @param energy of the update in the leading directions
 */
public record NullDraws(
    NullModel model, double[] nss, double[] rSpec, Angles angles, EnergyShares energy) {
  /**
   * Principal angles in radians.
   *
   * @param largestLeft the largest on the left
   * @param largestRight the largest on the right
   * @param bandLeft mean and standard deviation over draws of each left angle: two rows of k
   * @param bandRight the same on the right
   */
  public record Angles(
      double[] largestLeft, double[] largestRight, double[][] bandLeft, double[][] bandRight) {}

  /**
   * Shares of the update's energy in the leading directions.
   *
   * @param principal of both sides
   * @param left of the left side
   * @param right of the right side
   */
  public record EnergyShares(double[] principal, double[] left, double[] right) {}

  /** Returns an estimate from one of the arrays. */
  public NullEstimate estimate(double[] draws) {
    return NullEstimate.of(model.label(), draws);
  }

  public double[] angleU() {
    return angles.largestLeft;
  }

  public double[] angleV() {
    return angles.largestRight;
  }

  public double[] principalEnergy() {
    return energy.principal;
  }

  public double[] leftEnergy() {
    return energy.left;
  }

  public double[] rightEnergy() {
    return energy.right;
  }

  public double[][] bandLeft() {
    return angles.bandLeft;
  }

  public double[][] bandRight() {
    return angles.bandRight;
  }

  /** Returns the draws for the transposed matrices. */
  public NullDraws transposed() {
    return new NullDraws(
        model,
        nss,
        rSpec,
        new Angles(angles.largestRight, angles.largestLeft, angles.bandRight, angles.bandLeft),
        new EnergyShares(energy.principal, energy.right, energy.left));
  }
}
