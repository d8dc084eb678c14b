package org.threegate.rl.run;

/** The divisor of advantages, with TRL's names. */
public enum ScaleRewards {
  /** The standard deviation of the group's rewards. */
  GROUP,
  /** The standard deviation of the batch's rewards. */
  BATCH,
  /** No division. */
  NONE
}
