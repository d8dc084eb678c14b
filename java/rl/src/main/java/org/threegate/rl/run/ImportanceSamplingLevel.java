package org.threegate.rl.run;

/** Which probabilities the ratios of the new and the old policy are of, by TRL's names. */
public enum ImportanceSamplingLevel {
  /** Of each token. */
  TOKEN,
  /** Of the whole sequence: their geometric mean (arXiv 2507.18071), or their product in RLOO. */
  SEQUENCE
}
