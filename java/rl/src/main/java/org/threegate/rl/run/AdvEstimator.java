package org.threegate.rl.run;

import org.threegate.rl.objective.ScaleRewards;
import org.threegate.rl.train.AdvantageRule;

/** How advantages are estimated from rewards, with the names of verl's {@code adv_estimator}. */
public enum AdvEstimator {
  /** Rewards minus the mean of their group, scaled by {@code scale_rewards}. */
  GRPO,
  /** Rewards minus the mean of the others of their group. */
  RLOO,
  /** Rewards normalized over the batch. */
  REINFORCE_PLUS_PLUS,
  /** Rewards minus the mean of their group, normalized over the batch. */
  REINFORCE_PLUS_PLUS_BASELINE,
  /** 1 for each completion: all that are learnt from are imitated. */
  ONES;

  /** Returns the scaling that the estimator has, which is free for {@link #GRPO} only. */
  private ScaleRewards scale(ScaleRewards chosen) {
    return switch (this) {
      case GRPO -> chosen;
      case RLOO, ONES -> ScaleRewards.NONE;
      case REINFORCE_PLUS_PLUS, REINFORCE_PLUS_PLUS_BASELINE -> ScaleRewards.BATCH;
    };
  }

  /** Checks that the other keys of advantages are compatible. */
  void require(ScaleRewards chosen, boolean normalizes) {
    Limits.require(
        chosen == scale(chosen),
        "scale_rewards",
        ConfigKey.label(chosen),
        ConfigKey.label(scale(chosen)) + " with adv_estimator " + ConfigKey.label(this));
    Limits.require(
        !normalizes || this == RLOO,
        "normalize_advantages",
        true,
        "false without adv_estimator rloo");
  }

  AdvantageRule rule(ScaleRewards chosen, boolean normalizes) {
    return switch (this) {
      case GRPO ->
          switch (chosen) {
            case GROUP -> AdvantageRule.NORMALISED;
            case BATCH -> AdvantageRule.SCALED_BY_BATCH;
            case NONE -> AdvantageRule.CENTRED;
          };
      case RLOO ->
          normalizes ? AdvantageRule.LEAVE_ONE_OUT_NORMALISED : AdvantageRule.LEAVE_ONE_OUT;
      case REINFORCE_PLUS_PLUS -> AdvantageRule.OF_BATCH;
      case REINFORCE_PLUS_PLUS_BASELINE -> AdvantageRule.OF_BATCH_WITH_BASELINE;
      case ONES -> AdvantageRule.ONES;
    };
  }
}
