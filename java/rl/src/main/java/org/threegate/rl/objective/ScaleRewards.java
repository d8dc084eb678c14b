package org.threegate.rl.objective;

/** The divisor of advantages, with the names of TRL's {@code scale_rewards}. */
public enum ScaleRewards {
  /** The standard deviation of the group's rewards. */
  GROUP,
  /** The standard deviation of the batch's rewards. */
  BATCH,
  /** No division. */
  NONE
}
