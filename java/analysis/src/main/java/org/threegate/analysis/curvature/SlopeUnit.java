package org.threegate.analysis.curvature;

import java.util.Arrays;

/**
 * Whose slopes are squared. Gradients with respect to a token's outputs have what later tokens of
 * its sequence say about it, too; so slopes of one sequence are not independent, and the Fisher
 * information of sequences is not that of their tokens.
 */
public enum SlopeUnit {
  /** Each token by itself: F = Σ g xᵀ ⊗ g xᵀ over tokens, over their number. */
  TOKEN("token"),
  /** The sum over a sequence, over the root of how many tokens sequences have on average. */
  SEQUENCE("sequence");

  private final String label;

  SlopeUnit(String label) {
    this.label = label;
  }

  public String label() {
    return label;
  }

  /**
   * @throws IllegalArgumentException for another name
   */
  public static SlopeUnit of(String label) {
    return Arrays.stream(values())
        .filter(unit -> unit.label.equals(label))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "the unit is \"token\" or \"sequence\", not \"" + label + '"'));
  }
}
