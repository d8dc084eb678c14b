package org.threegate.checkpoint;

/** The role of a tensor in a model. Reports use the same names. */
public enum TensorKind {
  /** The query projection of attention. */
  Q_PROJ,
  /** The key projection of attention. */
  K_PROJ,
  /** The value projection of attention. */
  V_PROJ,
  /** The output projection of attention. */
  O_PROJ,
  /** The query, key and value projections in one matrix. */
  QKV,
  /** The gate projection of a gated feed-forward network. */
  GATE_PROJ,
  /** The first projection of a feed-forward network. */
  UP_PROJ,
  /** The last projection of a feed-forward network. */
  DOWN_PROJ,
  /** The gate projection and the first projection in one matrix. */
  GATE_UP,
  /** A matrix of an expert, or of all experts of a layer. */
  EXPERT,
  /** The matrix that selects experts for a token. */
  ROUTER,
  /** An embedding of tokens or positions. */
  EMBED,
  /** The output head. */
  LM_HEAD,
  /** The scale of a normalization. */
  NORM,
  /** A bias. */
  BIAS,
  /** The kernel of a convolution. */
  CONV,
  /** A tensor whose name tells no role. */
  OTHER;

  /** {@return the name in reports, in lower case} */
  public String label() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }
}
