package org.threegate.rl.run;

import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.train.AdvantageRule;
import org.threegate.rl.train.TrainingOptions;

/** Training algorithms. Each is a preset of the keys of the objective. */
public enum Algorithm {
  /** DAPO (arXiv 2503.14476). */
  DAPO(LossType.DAPO, ImportanceSamplingLevel.TOKEN, ScaleRewards.GROUP, 0.2, 0.28),
  /** GRPO (arXiv 2402.03300). */
  GRPO(LossType.GRPO, ImportanceSamplingLevel.TOKEN, ScaleRewards.GROUP, 0.2, 0.2),
  /** Dr. GRPO (arXiv 2503.20783). */
  DR_GRPO(LossType.DR_GRPO, ImportanceSamplingLevel.TOKEN, ScaleRewards.NONE, 0.2, 0.2),
  /** GSPO (arXiv 2507.18071). */
  GSPO(LossType.GRPO, ImportanceSamplingLevel.SEQUENCE, ScaleRewards.GROUP, 3e-4, 4e-4),
  /** CISPO (arXiv 2506.13585). */
  CISPO(LossType.CISPO, ImportanceSamplingLevel.TOKEN, ScaleRewards.GROUP, 0.2, 5),
  /** RLOO (arXiv 2402.14740). */
  RLOO(LossType.GRPO, ImportanceSamplingLevel.SEQUENCE, ScaleRewards.NONE, 0.2, 0.2),
  /** REINFORCE++ (arXiv 2501.03262). */
  REINFORCE_PLUS_PLUS(LossType.DAPO, ImportanceSamplingLevel.TOKEN, ScaleRewards.BATCH, 0.2, 0.2),
  /** Rejection sampling: imitates correct completions. On them, CISPO's loss is the likelihood. */
  REJECTION_SAMPLING(LossType.CISPO, ImportanceSamplingLevel.TOKEN, ScaleRewards.NONE, 0.2, 5),
  /** Supervised fine-tuning: imitates the answers of the problems. */
  SFT(LossType.DAPO, ImportanceSamplingLevel.TOKEN, ScaleRewards.NONE, 0.2, 0.2);

  private final LossType lossType;
  private final ImportanceSamplingLevel level;
  private final ScaleRewards scale;
  private final double epsilon;
  private final double epsilonHigh;

  Algorithm(
      LossType lossType,
      ImportanceSamplingLevel level,
      ScaleRewards scale,
      double epsilon,
      double epsilonHigh) {
    this.lossType = lossType;
    this.level = level;
    this.scale = scale;
    this.epsilon = epsilon;
    this.epsilonHigh = epsilonHigh;
  }

  /** Returns the keys that this algorithm decides, with their values. */
  Map<String, Object> preset() {
    Map<String, Object> preset = new LinkedHashMap<>();
    preset.put("loss_type", lossType);
    preset.put("importance_sampling_level", level);
    preset.put("scale_rewards", scale);
    preset.put("epsilon", epsilon);
    preset.put("epsilon_high", epsilonHigh);
    return preset;
  }

  private boolean isFixed() {
    return switch (this) {
      case DAPO, GRPO, DR_GRPO, GSPO, CISPO -> false;
      case RLOO, REINFORCE_PLUS_PLUS, REJECTION_SAMPLING, SFT -> true;
    };
  }

  /** Checks that the chosen values are compatible with this algorithm. */
  void require(LossType chosen, ImportanceSamplingLevel chosenLevel, ScaleRewards chosenScale) {
    requireOwn("loss_type", chosen, lossType);
    requireOwn("importance_sampling_level", chosenLevel, level);
    requireOwn("scale_rewards", chosenScale, scale);
    Limits.require(
        isFixed() || chosenScale != ScaleRewards.BATCH,
        "scale_rewards",
        "batch",
        "group or none with algorithm " + name().toLowerCase(Locale.ROOT));
    Limits.require(
        chosen != LossType.CISPO || chosenLevel == ImportanceSamplingLevel.TOKEN,
        "importance_sampling_level",
        "sequence",
        "token with loss_type cispo");
  }

  private void requireOwn(String key, Enum<?> chosen, Enum<?> own) {
    Limits.require(
        !isFixed() || chosen == own,
        key,
        chosen.name().toLowerCase(Locale.ROOT),
        own.name().toLowerCase(Locale.ROOT) + " with algorithm " + name().toLowerCase(Locale.ROOT));
  }

  PolicyObjective.Ratio ratio(ImportanceSamplingLevel chosen) {
    if (chosen == ImportanceSamplingLevel.TOKEN) {
      return PolicyObjective.Ratio.TOKEN;
    }
    return this == RLOO ? PolicyObjective.Ratio.SEQUENCE : PolicyObjective.Ratio.SEQUENCE_MEAN;
  }

  AdvantageRule advantages(ScaleRewards chosen) {
    return switch (this) {
      case RLOO -> AdvantageRule.LEAVE_ONE_OUT;
      case REINFORCE_PLUS_PLUS -> AdvantageRule.OF_BATCH;
      case REJECTION_SAMPLING -> AdvantageRule.ONES;
      case DAPO, GRPO, DR_GRPO, GSPO, CISPO, SFT ->
          chosen == ScaleRewards.NONE ? AdvantageRule.CENTRED : AdvantageRule.NORMALISED;
    };
  }

  TrainingOptions.Kept kept() {
    return switch (this) {
      case REINFORCE_PLUS_PLUS -> TrainingOptions.Kept.ALL;
      case REJECTION_SAMPLING -> TrainingOptions.Kept.RIGHT;
      case DAPO, GRPO, DR_GRPO, GSPO, CISPO, RLOO, SFT -> TrainingOptions.Kept.DIFFERING;
    };
  }
}
