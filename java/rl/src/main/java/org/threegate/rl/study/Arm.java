package org.threegate.rl.study;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import org.threegate.analysis.mask.MaskKind;
import org.threegate.rl.adapter.Initialisation;
import org.threegate.rl.run.Algorithm;
import org.threegate.rl.run.TrainingConfig;
import org.threegate.rl.run.TrainingConfigs;

/**
 * The plan of one run of the study: a way of training with a seed.
 *
 * @param way how to train
 * @param number the number of the seed within the study, from 1
 * @param seed the seed of the run
 */
record Arm(Way way, int number, long seed) {
  /**
   * A way of training.
   *
   * @param variation what is varied, if this is not the main part of the study
   * @param id the identifier, the same in all variations
   * @param title the title in reports
   * @param how a description of what sets it apart
   * @param algorithm the training algorithm
   * @param rate the learning rate of AdamW
   * @param steps the maximal number of steps
   * @param setting the differences from plain training of the base
   */
  record Way(
      Variation variation,
      String id,
      String title,
      String how,
      Algorithm algorithm,
      double rate,
      long steps,
      Setting setting) {
    /** Returns whether it imitates answers with digit-by-digit working. */
    boolean isSupervised() {
      return algorithm == Algorithm.SFT;
    }

    /** Returns the same way of training in a variation of the study. */
    Way in(Variation other) {
      return new Way(
          other,
          id,
          title + ", " + other.title(),
          how.replace("addition", other.task().name().toLowerCase(Locale.ROOT))
              + ", "
              + other.how(),
          algorithm,
          rate * other.rateFactor(),
          steps,
          new Setting(
              setting.rotated(),
              setting.untilNorm().map(way -> name(other, way)),
              setting.mask(),
              setting.likeMask(),
              setting.adapter()));
    }

    /** Returns the same way of training until the update has the norm of another run's. */
    Way until(String other) {
      return new Way(variation, id, title, how, algorithm, rate, 2 * steps, Setting.until(other));
    }
  }

  /**
   * What sets a run apart from plain training of the base.
   *
   * @param rotated from the base with other axes
   * @param untilNorm the name of the way of training whose ‖ΔW‖, with the same seed, ends this run
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

  static final String REINFORCED = "rlvr";
  static final String ROTATED = "rlvr-rotated";

  private static final double RATE = 1e-5;
  private static final double SUPERVISED_RATE = 1e-4;
  private static final double ADAPTER_RATE = 1e-3;
  private static final int PROMPTS = 16;
  private static final int COMPLETIONS = 16; // of each
  private static final int DEMONSTRATIONS = 128;
  private static final int LONGEST_DEMONSTRATION = 24; // tokens
  private static final int ROWS = 32; // demonstrations per forward and backward pass
  private static final int RANK = 8; // of adapters

  private static final int QUICK_SEEDS = 2;
  private static final int SEEDS = 4;
  private static final int FEW_SEEDS = 2; // of ways that no matched comparison of RLVR needs

  private static Way reinforced(String id, String title, String how, long steps, Setting setting) {
    return new Way(Variation.NONE, id, title, how, Algorithm.DAPO, RATE, steps, setting);
  }

  private static Way supervised(
      String id, String title, String how, double rate, long steps, Setting setting) {
    return new Way(Variation.NONE, id, title, how, Algorithm.SFT, rate, steps, setting);
  }

  /** The seeds of a study. */
  private record Seeds(long first, List<Arm> arms) {
    void add(int count, Way way) {
      for (int number = 1; number <= count; number++) {
        add(way, number);
      }
    }

    void add(Way way, int number) {
      arms.add(new Arm(way, number, SEEDS * first + number));
    }
  }

  /**
   * Returns all runs. Each comes after those that it refers to.
   *
   * @param steps the number of steps of reinforcement learning
   * @param quick whether there are fewer seeds, no controls in variations, and no masks and
   *     adapters
   */
  static List<Arm> all(long steps, long seed, boolean quick) {
    Seeds seeds = new Seeds(seed, new ArrayList<>());
    int most = quick ? QUICK_SEEDS : SEEDS;
    Way reinforced = reinforced(REINFORCED, "RLVR", "DAPO on addition", steps, Setting.PLAIN);
    seeds.add(most, reinforced);
    seeds.add(
        most,
        supervised(
            "sft",
            "SFT, usual rate",
            "imitates answers with digit-by-digit working, at ten times the rate and three times the steps",
            SUPERVISED_RATE,
            3 * steps,
            Setting.PLAIN));
    Way equalNorm =
        supervised(
            "sft-equal-norm",
            "SFT, RLVR's |dW|",
            "imitates the same answers at RLVR's rate, until the update has the norm of RLVR's",
            RATE,
            2 * steps,
            Setting.until(REINFORCED));
    seeds.add(most, equalNorm);
    Way rejection =
        new Way(
            Variation.NONE,
            "rejection",
            "Rejection sampling",
            "imitates its own correct completions",
            Algorithm.REJECTION_SAMPLING,
            RATE,
            steps,
            Setting.PLAIN);
    seeds.add(most, rejection);
    Way rotated =
        reinforced(
            ROTATED,
            "RLVR, rotated base",
            "the values of layers 1 and 2 are rotated",
            steps,
            Setting.ROTATED);
    List<Way> controls = List.of(equalNorm, rejection);
    List<Way> paired =
        new ArrayList<>(
            List.of(
                rotated,
                reinforced.in(Variation.SGD).until(REINFORCED),
                reinforced.in(Variation.MUON).until(REINFORCED),
                reinforced.in(Variation.SUBTRACTION)));
    if (!quick) {
      controls.forEach(way -> paired.add(way.in(Variation.SUBTRACTION)));
    }
    paired.add(reinforced.in(Variation.OTHER_BASE));
    if (!quick) {
      controls.forEach(way -> paired.add(way.in(Variation.OTHER_BASE)));
    }
    for (Way way : paired) {
      // Each is compared with the seed before it, and no seed is in two pairs.
      for (int number = 2; number <= most; number += 2) {
        seeds.add(way, number);
      }
    }
    if (!quick) {
      seeds.add(
          FEW_SEEDS,
          new Way(
              Variation.NONE,
              "rlvr-slow",
              "RLVR, a tenth of the rate",
              "DAPO on addition",
              Algorithm.DAPO,
              RATE / 10,
              steps,
              Setting.PLAIN));
      seeds.add(
          1,
          supervised(
              "sft-equal-steps",
              "SFT, RLVR's rate and steps",
              "imitates the same answers, with the rate and the steps of RLVR",
              RATE,
              steps,
              Setting.PLAIN));
      masks(steps).forEach(way -> seeds.add(FEW_SEEDS, way));
      // Two seeds of PiSSA do not tell it from LoRA: rounding in another order changed the verdict.
      adapters(steps).forEach(way -> seeds.add(way.rate() == ADAPTER_RATE ? most : FEW_SEEDS, way));
    }
    return List.copyOf(seeds.arms());
  }

  private static List<Way> masks(long steps) {
    return List.of(
        reinforced(
            "safe",
            "RLVR, safe mask",
            "only small weights and weights outside of the principal mask may move",
            steps,
            Setting.within(MaskKind.SAFE)),
        reinforced(
            "random-safe",
            "RLVR, random mask like safe",
            "the same number of weights at random positions",
            steps,
            Setting.like(MaskKind.SAFE)),
        reinforced(
            "principal",
            "RLVR, principal mask",
            "only the principal half of the weights may move",
            steps,
            Setting.within(MaskKind.PRINCIPAL)),
        reinforced(
            "random-half",
            "RLVR, random half",
            "the same number of weights at random positions",
            steps,
            Setting.like(MaskKind.PRINCIPAL)));
  }

  private static List<Way> adapters(long steps) {
    List<Way> ways = new ArrayList<>();
    for (Initialisation kind : List.of(Initialisation.LORA, Initialisation.PISSA)) {
      boolean principal = kind == Initialisation.PISSA;
      String id = principal ? "pissa" : "lora";
      String title = principal ? "RLVR, PiSSA" : "RLVR, LoRA";
      String how =
          "factors of rank "
              + RANK
              + (principal
                  ? ", initialized with the leading singular triplets"
                  : ", initialized with a zero product");
      Setting setting = Setting.by(kind);
      ways.add(
          new Way(Variation.NONE, id, title, how, Algorithm.DAPO, ADAPTER_RATE, steps, setting));
      ways.add(
          new Way(
              Variation.NONE,
              id + "-slow",
              title + ", a tenth of the rate",
              how,
              Algorithm.DAPO,
              ADAPTER_RATE / 10,
              steps,
              setting));
    }
    return ways;
  }

  /** Returns the name of a way of training in a variation. */
  static String name(Variation variation, String way) {
    return variation.id().isEmpty() ? way : variation.id() + "-" + way;
  }

  /** Returns the name of the run of this way with a seed. */
  static String id(String way, int number) {
    return way + "-" + number;
  }

  /** Returns the name of the directory of the run. */
  String id() {
    return id(name(way.variation(), way.id()), number);
  }

  Variation variation() {
    return way.variation();
  }

  /** Returns the title of the run. */
  String title() {
    return way.title() + ", seed " + number;
  }

  /**
   * Returns whether the claims about one update are judged. They need draws of null models, which
   * take longer than all other measurements.
   */
  boolean isJudgedAlone() {
    return way.id().equals(REINFORCED) || number == 1 && variation() == Variation.NONE;
  }

  Setting setting() {
    return way.setting();
  }

  long steps() {
    return way.steps();
  }

  /**
   * Returns the configuration of the run.
   *
   * @param base the directory of the initial model
   */
  TrainingConfig config(Path base) {
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("model_name_or_path", base);
    values.put("algorithm", way.algorithm());
    values.put("max_steps", way.steps());
    values.put("seed", seed);
    values.put("learning_rate", way.rate());
    values.put("max_prompt_length", Behaviour.LONGEST_PROMPT);
    if (way.isSupervised()) {
      values.put("prompts_per_step", DEMONSTRATIONS);
      values.put("micro_batch_size", ROWS);
      values.put("max_completion_length", LONGEST_DEMONSTRATION - Behaviour.LONGEST_PROMPT);
    } else {
      values.put("prompts_per_step", PROMPTS);
      values.put("num_generations", COMPLETIONS);
      values.put("max_completion_length", Behaviour.LONGEST);
    }
    values.putAll(way.variation().keys());
    setting()
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
