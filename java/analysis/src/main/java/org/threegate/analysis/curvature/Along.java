package org.threegate.analysis.curvature;

/** Directions along which the curvature of an update is measured. */
public enum Along {
  /** The update itself. */
  UPDATE("update"),
  /** The projection of the update onto the leading singular vectors of the base, on both sides. */
  PRINCIPAL("principal part"),
  /** The update without its principal part. */
  COMPLEMENT("complement"),
  /** The entries of the update in the principal mask. */
  PRINCIPAL_MASK("in principal mask"),
  /** The entries of the update in the mask of small weights. */
  LOW_MASK("in low mask"),
  /** A random direction with independent Gaussian entries. */
  ISOTROPIC("isotropic"),
  /** Random directions with the update's singular values. */
  SPECTRUM_MATCHED("spectrum-matched"),
  /** The entries of the update with random signs; positions and magnitudes are kept. */
  SIGN_FLIPPED("sign-flipped"),
  /** The projection of the update onto random subspaces of the principal part's dimension. */
  RANDOM_SUBSPACE("random subspaces");

  private final String label;

  Along(String label) {
    this.label = label;
  }

  /** {@return the name in reports} */
  public String label() {
    return label;
  }
}
