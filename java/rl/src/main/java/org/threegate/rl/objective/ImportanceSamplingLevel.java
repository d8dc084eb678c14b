package org.threegate.rl.objective;

/** The level at which importance sampling ratios are computed, with TRL's names. */
public enum ImportanceSamplingLevel {
  /** One ratio per token. */
  TOKEN,
  /** The geometric mean of the tokens' ratios of a completion (GSPO, arXiv 2507.18071). */
  SEQUENCE,
  /** The product of the tokens' ratios, as TRL's {@code RLOOTrainer} has it. */
  SEQUENCE_PRODUCT
}
