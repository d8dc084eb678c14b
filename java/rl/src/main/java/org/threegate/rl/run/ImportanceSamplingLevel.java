package org.threegate.rl.run;

/** The level at which importance sampling ratios are computed, with TRL's names. */
public enum ImportanceSamplingLevel {
  /** One ratio per token. */
  TOKEN,
  /** One ratio per sequence: the geometric mean (arXiv 2507.18071), or the product with RLOO. */
  SEQUENCE
}
