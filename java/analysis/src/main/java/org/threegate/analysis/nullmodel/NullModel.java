package org.threegate.analysis.nullmodel;

import java.util.Arrays;
import java.util.List;

/** Random updates that a true one is held against (docs/metrics.md says what each shows). */
public enum NullModel {
  /** Independent normal entries of the same Frobenius norm after the same rounding to bf16. */
  NORM_MATCHED("norm-matched"),
  /** The entries of the true update at random positions. */
  PERMUTED_UPDATE("permuted-update"),
  /** The singular values of the true update in random directions. */
  SPECTRUM_PRESERVING("spectrum-preserving");

  private final String label;

  NullModel(String label) {
    this.label = label;
  }

  /** As in reports and options. */
  public String label() {
    return label;
  }

  /**
   * The model with this label.
   *
   * @throws IllegalArgumentException naming the labels that there are
   */
  public static NullModel of(String label) {
    List<String> labels = Arrays.stream(values()).map(NullModel::label).toList();
    int index = labels.indexOf(label);
    if (index < 0) {
      throw new IllegalArgumentException(
          "\"" + label + "\" is no null model; there are " + String.join(", ", labels));
    }
    return values()[index];
  }
}
