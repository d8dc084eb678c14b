package org.threegate.rl.study;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.mask.MaskKind;
import org.threegate.rl.adapter.Initialisation;
import org.threegate.rl.run.Algorithm;
import org.threegate.rl.run.TrainingConfig;
import org.threegate.rl.run.TrainingConfigs;

/**
 * The plan of one run of the study.
 *
 * @param id the name of its directory
 * @param title the title in reports
 * @param how a description of what sets the run apart
 * @param algorithm the training algorithm
 * @param rate the learning rate
 * @param steps the maximal number of steps
 * @param seed the seed of the run
 * @param setting the differences from plain training of the base
 */
record Arm(
    String id,
    String title,
    String how,
    Algorithm algorithm,
    double rate,
    long steps,
    long seed,
    Setting setting) {
  /**
   * What sets a run apart from plain training of the base.
   *
   * @param rotated from the base with other axes
   * @param untilNorm the run whose ‖ΔW‖ ends this one
   * @param mask where weights may move
   * @param likeMask random entries, as many as that kind of mask has
   */
  record Setting(
      boolean rotated,
      Optional<String> untilNorm,
      Optional<MaskKind> mask,
      boolean likeMask,
      Optional<Initialisation> adapter) {
    static final Setting PLAIN =
        new Setting(false, Optional.empty(), Optional.empty(), false, Optional.empty());
    static final Setting ROTATED =
        new Setting(true, Optional.empty(), Optional.empty(), false, Optional.empty());

    static Setting until(String other) {
      return new Setting(false, Optional.of(other), Optional.empty(), false, Optional.empty());
    }

    static Setting within(MaskKind kind) {
      return new Setting(false, Optional.empty(), Optional.of(kind), false, Optional.empty());
    }

    static Setting like(MaskKind kind) {
      return new Setting(false, Optional.empty(), Optional.of(kind), true, Optional.empty());
    }

    static Setting by(Initialisation kind) {
      return new Setting(false, Optional.empty(), Optional.empty(), false, Optional.of(kind));
    }
  }

  static final String FIRST = "rlvr-1";
  static final String SECOND = "rlvr-2";
  static final String ROTATED = "rlvr-2-rotated";

  private static final double RATE = 1e-5;
  private static final double SUPERVISED_RATE = 1e-4;
  private static final double ADAPTER_RATE = 1e-3;
  private static final int PROMPTS = 16;
  private static final int COMPLETIONS = 16; // of each
  private static final int DEMONSTRATIONS = 128;
  private static final int LONGEST_DEMONSTRATION = 24; // tokens
  private static final int ROWS = 32; // demonstrations per forward and backward pass
  private static final int RANK = 8; // of adapters

  private static Arm reinforced(
      String id, String title, String how, long steps, long seed, Setting setting) {
    return new Arm(id, title, how, Algorithm.DAPO, RATE, steps, seed, setting);
  }

  private static Arm supervised(
      String id, String title, String how, double rate, long steps, long seed, Setting setting) {
    return new Arm(id, title, how, Algorithm.SFT, rate, steps, seed, setting);
  }

  /**
   * Returns all runs. Each comes after those that it refers to.
   *
   * @param steps the number of steps of reinforcement learning
   * @param quick whether adapters, rejection sampling and the principal mask are left out
   */
  static List<Arm> all(long steps, long seed, boolean quick) {
    long first = 2 * seed + 1;
    long second = 2 * seed + 2;
    List<Arm> arms = new ArrayList<>();
    arms.add(reinforced(FIRST, "RLVR, seed 1", "DAPO on addition", steps, first, Setting.PLAIN));
    arms.add(reinforced(SECOND, "RLVR, seed 2", "DAPO on addition", steps, second, Setting.PLAIN));
    arms.add(
        supervised(
            "sft",
            "SFT, usual rate",
            "imitates answers with digit-by-digit working, at ten times the rate and three times the steps",
            SUPERVISED_RATE,
            3 * steps,
            first,
            Setting.PLAIN));
    arms.add(
        supervised(
            "sft-equal-steps",
            "SFT, RLVR's rate and steps",
            "imitates the same answers, with the rate and the steps of RLVR",
            RATE,
            steps,
            first,
            Setting.PLAIN));
    arms.add(
        supervised(
            "sft-equal-norm",
            "SFT, RLVR's |dW|",
            "imitates the same answers at RLVR's rate, until the update has the norm of RLVR's",
            RATE,
            2 * steps,
            first,
            Setting.until(FIRST)));
    if (!quick) {
      arms.add(
          new Arm(
              "rejection",
              "Rejection sampling",
              "imitates its own correct completions",
              Algorithm.REJECTION_SAMPLING,
              RATE,
              steps,
              first,
              Setting.PLAIN));
    }
    arms.add(
        reinforced(
            ROTATED,
            "RLVR, seed 2, rotated base",
            "the values of layers 1 and 2 are rotated",
            steps,
            second,
            Setting.ROTATED));
    arms.add(
        reinforced(
            "safe",
            "RLVR, safe mask",
            "only small weights and weights outside of the principal mask may move",
            steps,
            first,
            Setting.within(MaskKind.SAFE)));
    arms.add(
        reinforced(
            "random-safe",
            "RLVR, random mask like safe",
            "the same number of weights at random positions",
            steps,
            first,
            Setting.like(MaskKind.SAFE)));
    if (!quick) {
      arms.add(
          reinforced(
              "principal",
              "RLVR, principal mask",
              "only the principal half of the weights may move",
              steps,
              first,
              Setting.within(MaskKind.PRINCIPAL)));
      arms.add(
          reinforced(
              "random-half",
              "RLVR, random half",
              "the same number of weights at random positions",
              steps,
              first,
              Setting.like(MaskKind.PRINCIPAL)));
      arms.add(
          adapted(
              "lora",
              "RLVR, LoRA",
              "factors of rank 8, initialized with a zero product",
              steps,
              first,
              Initialisation.LORA));
      arms.add(
          adapted(
              "pissa",
              "RLVR, PiSSA",
              "factors of rank 8, initialized with the leading singular triplets",
              steps,
              first,
              Initialisation.PISSA));
    }
    return List.copyOf(arms);
  }

  private static Arm adapted(
      String id, String title, String how, long steps, long seed, Initialisation kind) {
    return new Arm(id, title, how, Algorithm.DAPO, ADAPTER_RATE, steps, seed, Setting.by(kind));
  }

  /** Returns whether the run imitates answers with digit-by-digit working. */
  boolean isSupervised() {
    return algorithm == Algorithm.SFT;
  }

  /**
   * Returns the configuration of the run.
   *
   * @param base the directory of the initial model
   */
  TrainingConfig config(Path base) {
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("model_name_or_path", base);
    values.put("algorithm", algorithm);
    values.put("max_steps", steps);
    values.put("seed", seed);
    values.put("learning_rate", rate);
    values.put("max_prompt_length", Behaviour.LONGEST_PROMPT);
    if (isSupervised()) {
      values.put("prompts_per_step", DEMONSTRATIONS);
      values.put("micro_batch_size", ROWS);
      values.put("max_completion_length", LONGEST_DEMONSTRATION - Behaviour.LONGEST_PROMPT);
    } else {
      values.put("prompts_per_step", PROMPTS);
      values.put("num_generations", COMPLETIONS);
      values.put("max_completion_length", Behaviour.LONGEST);
    }
    setting
        .adapter()
        .ifPresent(
            kind -> {
              values.put("use_peft", true);
              values.put("init_lora_weights", kind);
              values.put("lora_r", RANK);
              values.put("lora_alpha", RANK);
            });
    return TrainingConfigs.of(values);
  }
}
