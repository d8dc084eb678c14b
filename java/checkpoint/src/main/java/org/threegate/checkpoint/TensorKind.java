package org.threegate.checkpoint;

/** The role of a tensor in a model. Reports use the same names. */
public enum TensorKind {
  Q_PROJ,
  K_PROJ,
  V_PROJ,
  O_PROJ,
  QKV,
  GATE_PROJ,
  UP_PROJ,
  DOWN_PROJ,
  GATE_UP,
  EXPERT,
  ROUTER,
  EMBED,
  LM_HEAD,
  NORM,
  BIAS,
  CONV,
  OTHER;

  /** Returns the name in reports, in lower case. */
  public String label() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }
}
