package org.threegate.checkpoint;

/** The part that a tensor plays in a model; the names are those of the report. */
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

  /** As it stands in the report. */
  public String label() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }
}
