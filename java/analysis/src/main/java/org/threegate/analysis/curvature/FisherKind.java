package org.threegate.analysis.curvature;

/** Where the labels come from whose gradients make a Fisher information: never to be mixed up. */
public enum FisherKind {
  /** Labels sampled from the model: the Fisher information itself. */
  TRUE("true Fisher"),
  /** Labels of the data: not curvature of the loss, however often it is used for it. */
  EMPIRICAL("empirical Fisher"),
  /** Output gradients times a root of the loss' Hessian: the generalised Gauss-Newton matrix. */
  GAUSS_NEWTON("generalised Gauss-Newton");

  private final String label;

  FisherKind(String label) {
    this.label = label;
  }

  public String label() {
    return label;
  }
}
