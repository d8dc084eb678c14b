package org.threegate.analysis.nullmodel;

import java.util.Arrays;
import java.util.List;

/**
 * Models of random updates that a true update is compared with. See docs/metrics.md for their
 * purpose.
 */
public enum NullModel {
  /** Independent normal entries of the same Frobenius norm after the same rounding to bf16. */
  NORM_MATCHED("norm-matched"),
  /** The entries of the true update at random positions. */
  PERMUTED_UPDATE("permuted-update"),
  /** The singular values of the true update in random directions. */
  SPECTRUM_PRESERVING("spectrum-preserving"),
  /** The true update with an independent random sign of each entry. */
  SIGN_FLIPPED("sign-flipped");

  private final String label;

  NullModel(String label) {
    this.label = label;
  }

  /** {@return the label used in reports and options} */
  public String label() {
    return label;
  }

  /**
   * {@return the model with a label}
   *
   * @param label name of a model, as {@link #label} returns it
   * @throws IllegalArgumentException if there is none; the message lists the valid labels
   */
  public static NullModel of(String label) {
    List<String> labels = Arrays.stream(values()).map(NullModel::label).toList();
    int index = labels.indexOf(label);
    if (index < 0) {
      throw new IllegalArgumentException(
          "\"" + label + "\" is not a null model; choose from " + String.join(", ", labels));
    }
    return values()[index];
  }
}
