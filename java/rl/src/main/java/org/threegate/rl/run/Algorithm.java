package org.threegate.rl.run;

import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.threegate.rl.objective.Divergence;
import org.threegate.rl.objective.ImportanceSamplingLevel;
import org.threegate.rl.objective.LossType;
import org.threegate.rl.objective.ScaleRewards;
import org.threegate.rl.train.TrainingOptions.Kept;

/**
 * Training algorithms. Each is a preset: it sets keys of the objective, and does nothing else. Keys
 * that it does not set have the defaults of TRL.
 */
public enum Algorithm {
  /** No preset: the defaults of TRL's {@code GRPOConfig}. */
  NONE(Map.of()),
  /** DAPO (arXiv 2503.14476), without its length penalty. */
  DAPO(Map.of(Names.EPSILON_HIGH, 0.28, Names.LEARN_FROM, Kept.DIFFERING)),
  /** GRPO (arXiv 2402.03300). */
  GRPO(Map.of(Names.LOSS_TYPE, LossType.GRPO)),
  /** Dr. GRPO (arXiv 2503.20783). */
  DR_GRPO(Map.of(Names.LOSS_TYPE, LossType.DR_GRPO, Names.SCALE_REWARDS, ScaleRewards.NONE)),
  /** GSPO (arXiv 2507.18071). */
  GSPO(
      Map.of(
          Names.LOSS_TYPE,
          LossType.GRPO,
          Names.LEVEL,
          ImportanceSamplingLevel.SEQUENCE,
          Names.EPSILON,
          3e-4,
          Names.EPSILON_HIGH,
          4e-4)),
  /** CISPO (arXiv 2506.13585). */
  CISPO(Map.of(Names.LOSS_TYPE, LossType.CISPO, Names.EPSILON_HIGH, 5.0)),
  /** SAPO (arXiv 2511.20347). */
  SAPO(Map.of(Names.LOSS_TYPE, LossType.SAPO)),
  /** LUSPO (arXiv 2602.05261). */
  LUSPO(Map.of(Names.LOSS_TYPE, LossType.LUSPO, Names.LEVEL, ImportanceSamplingLevel.SEQUENCE)),
  /** VESPO (arXiv 2602.10693). */
  VESPO(Map.of(Names.LOSS_TYPE, LossType.VESPO)),
  /** RLOO (arXiv 2402.14740), as TRL's {@code RLOOTrainer} has it. */
  RLOO(
      Map.of(
          Names.LOSS_TYPE,
          LossType.GRPO,
          Names.LEVEL,
          ImportanceSamplingLevel.SEQUENCE_PRODUCT,
          Names.ADV_ESTIMATOR,
          AdvEstimator.RLOO,
          Names.SCALE_REWARDS,
          ScaleRewards.NONE,
          Names.BETA,
          0.05,
          Names.KL_ESTIMATOR,
          Divergence.K1,
          Names.KL_IN_REWARD,
          true)),
  /** REINFORCE++ (arXiv 2501.03262). */
  REINFORCE_PLUS_PLUS(
      Map.of(
          Names.ADV_ESTIMATOR,
          AdvEstimator.REINFORCE_PLUS_PLUS,
          Names.SCALE_REWARDS,
          ScaleRewards.BATCH)),
  /** Rejection sampling: imitates correct completions. On them, CISPO's loss is the likelihood. */
  REJECTION_SAMPLING(
      Map.of(
          Names.LOSS_TYPE,
          LossType.CISPO,
          Names.EPSILON_HIGH,
          5.0,
          Names.ADV_ESTIMATOR,
          AdvEstimator.ONES,
          Names.SCALE_REWARDS,
          ScaleRewards.NONE,
          Names.LEARN_FROM,
          Kept.RIGHT)),
  /** Supervised fine-tuning: imitates the answers of the problems, and has no objective's keys. */
  SFT(Map.of());

  /** Names of keys that presets set. */
  private static final class Names {
    private static final String LOSS_TYPE = "loss_type";
    private static final String LEVEL = "importance_sampling_level";
    private static final String SCALE_REWARDS = "scale_rewards";
    private static final String EPSILON = "epsilon";
    private static final String EPSILON_HIGH = "epsilon_high";
    private static final String ADV_ESTIMATOR = "adv_estimator";
    private static final String LEARN_FROM = "learn_from";
    private static final String BETA = "beta";
    private static final String KL_ESTIMATOR = "kl_estimator";
    private static final String KL_IN_REWARD = "use_kl_in_reward";
  }

  private final Map<String, Object> preset;

  Algorithm(Map<String, Object> preset) {
    this.preset = preset;
  }

  /** Returns the keys that this algorithm sets, with their values. */
  Map<String, Object> preset() {
    return preset;
  }

  /** Returns the keys that any algorithm sets. */
  static Set<String> keys() {
    Set<String> keys = new TreeSet<>();
    for (Algorithm algorithm : values()) {
      keys.addAll(algorithm.preset.keySet());
    }
    return keys;
  }
}
