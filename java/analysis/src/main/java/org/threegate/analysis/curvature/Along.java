package org.threegate.analysis.curvature;

/** The directions in which an update's curvature is measured. */
public enum Along {
  /** The update itself. */
  UPDATE("update"),
  /** Its part between the leading singular vectors of the base, on both sides. */
  PRINCIPAL("principal part"),
  /** What is left of it without that. */
  COMPLEMENT("complement"),
  /** Its entries in the principal mask. */
  PRINCIPAL_MASK("in principal mask"),
  /** Its entries in the mask of small weights. */
  LOW_MASK("in low mask"),
  /** Gaussian entries. */
  ISOTROPIC("isotropic"),
  /** Random directions with the update's singular values. */
  SPECTRUM_MATCHED("spectrum-matched"),
  /** The entries of the update with random signs: its magnitudes where they are. */
  SIGN_FLIPPED("sign-flipped");

  private final String label;

  Along(String label) {
    this.label = label;
  }

  public String label() {
    return label;
  }
}
