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
  /** The projection of inputs to the latent vector of queries, in multi-head latent attention. */
  Q_A_PROJ,
  /** The projection of the latent vector to queries. */
  Q_B_PROJ,
  /** The projection of inputs to the latent vector of keys and values, and to the rotated key. */
  KV_A_PROJ,
  /** The projection of the latent vector to keys and values. */
  KV_B_PROJ,
  /** The gate of what attention reads. */
  ATTENTION_GATE,
  /** The gate projection of a gated feed-forward network. */
  GATE_PROJ,
  /** The first projection of a feed-forward network. */
  UP_PROJ,
  /** The last projection of a feed-forward network. */
  DOWN_PROJ,
  /** The gate projection and the first projection in one matrix. */
  GATE_UP,
  /** The gate projection of an expert. */
  EXPERT_GATE,
  /** The first projection of an expert. */
  EXPERT_UP,
  /** The last projection of an expert. */
  EXPERT_DOWN,
  /** Gate and first projection of an expert in one matrix, or another matrix of an expert. */
  EXPERT,
  /** The matrix that selects experts for a token. */
  ROUTER,
  /** An input projection of a state-space layer, of linear attention or of a short convolution. */
  MIXER_IN,
  /** The output projection of a state-space layer, of linear attention or a short convolution. */
  MIXER_OUT,
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

  /** {@return whether this is a matrix of an expert} */
  public boolean isExpert() {
    return this == EXPERT || this == EXPERT_GATE || this == EXPERT_UP || this == EXPERT_DOWN;
  }

  /** {@return the name in reports, in lower case} */
  public String label() {
    return name().toLowerCase(java.util.Locale.ROOT);
  }
}
