package org.threegate.analysis.statistics;

/**
 * ‖ΔW‖_F² and how much of it lies in the leading directions of the base.
 *
 * @param left in those of the outputs
 * @param right in those of the inputs
 * @param both in both
 */
public record Energy(double total, double left, double right, double both) {
  /** Returns the energy of the transposed update: left and right change places. */
  public Energy transposed() {
    return new Energy(total, right, left, both);
  }

  /** Share of the left directions; NaN without an update. */
  public double leftEnergy() {
    return left / total;
  }

  /** Share of the right directions; NaN without an update. */
  public double rightEnergy() {
    return right / total;
  }

  /** Share of both; NaN without an update. */
  public double bothShare() {
    return both / total;
  }
}
