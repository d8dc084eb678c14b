package org.threegate.analysis.statistics;

/**
 * The energy ‖ΔW‖_F² of an update and its part in the leading singular directions of the base.
 *
 * @param total ‖ΔW‖_F²
 * @param left energy in the leading left (output) directions
 * @param right energy in the leading right (input) directions
 * @param both energy in both the leading left and the leading right directions
 */
public record Energy(double total, double left, double right, double both) {
  /** {@return the energy of the transposed update, with left and right swapped} */
  public Energy transposed() {
    return new Energy(total, right, left, both);
  }

  /** {@return the share of energy in the left directions; NaN if the update is zero} */
  public double leftEnergy() {
    return Ratio.of(left, total);
  }

  /** {@return the share of energy in the right directions; NaN if the update is zero} */
  public double rightEnergy() {
    return Ratio.of(right, total);
  }

  /** {@return the share of energy in both; NaN if the update is zero} */
  public double bothShare() {
    return Ratio.of(both, total);
  }
}
