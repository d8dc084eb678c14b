package org.threegate.rl.run;

/** What advantages are divided by, by TRL's names. */
public enum ScaleRewards {
  /** The standard deviation of the group's rewards. */
  GROUP,
  /** The standard deviation of the batch's rewards. */
  BATCH,
  /** Nothing. */
  NONE
}
