package org.threegate.analysis.curvature;

import java.util.Arrays;

/**
 * The unit whose slopes are squared. The gradient at the outputs of a token also contains
 * contributions of later tokens of its sequence. Slopes of one sequence are therefore not
 * independent, and the Fisher information of sequences differs from that of their tokens.
 */
public enum SlopeUnit {
  /** Single tokens: F is the sum of g xᵀ ⊗ g xᵀ over tokens, divided by their number. */
  TOKEN("token"),
  /**
   * Whole sequences: slopes are summed over a sequence and divided by the square root of the mean
   * sequence length.
   */
  SEQUENCE("sequence");

  private final String label;

  SlopeUnit(String label) {
    this.label = label;
  }

  /** {@return the name in options and reports} */
  public String label() {
    return label;
  }

  /**
   * {@return the unit with a label}
   *
   * @param label name of a unit, as {@link #label} returns it
   * @throws IllegalArgumentException if the label is unknown
   */
  public static SlopeUnit of(String label) {
    return Arrays.stream(values())
        .filter(unit -> unit.label.equals(label))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "the unit must be \"token\" or \"sequence\", not \"" + label + '"'));
  }
}
