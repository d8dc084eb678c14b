package org.threegate.analysis.curvature;

import java.util.Arrays;
import java.util.Optional;

/** The source of the labels whose gradients form a Fisher information matrix. */
public enum FisherKind {
  /** Labels sampled from the model: the Fisher information itself. */
  TRUE("true", "true Fisher"),
  /**
   * Labels of the data. This matrix is not the curvature of the loss, although it is often used as
   * such.
   */
  EMPIRICAL("empirical", "empirical Fisher"),
  /** Output gradients times a root of the loss' Hessian: the generalised Gauss-Newton matrix. */
  GAUSS_NEWTON("gauss-newton", "generalised Gauss-Newton");

  private final String stored;
  private final String label;

  FisherKind(String stored, String label) {
    this.stored = stored;
    this.label = label;
  }

  /** Returns the kind that the metadata of a capture name; empty if the name is unknown. */
  static Optional<FisherKind> ofStored(String name) {
    return Arrays.stream(values()).filter(kind -> kind.stored.equals(name)).findFirst();
  }

  /** {@return the name in reports} */
  public String label() {
    return label;
  }
}
