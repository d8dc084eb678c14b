package org.threegate.rl.study;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.analysis.measure.MaskKind;
import org.threegate.rl.adapter.Initialisation;

/**
 * One run of the study, before it is run.
 *
 * @param id its directory
 * @param rotated from the base with other axes
 * @param steps at most
 * @param untilNorm the run whose ‖ΔW‖ ends this one
 * @param mask where weights may move
 * @param likeMask random entries, as many as that kind of mask has
 */
record Arm(
    String id,
    String title,
    String how,
    Method method,
    boolean rotated,
    double rate,
    long steps,
    long seed,
    Optional<String> untilNorm,
    Optional<MaskKind> mask,
    boolean likeMask,
    Optional<Initialisation> adapter) {
  enum Method {
    REINFORCED,
    REJECTION,
    SCRATCHPAD
  }

  static final String FIRST = "rlvr-1";
  static final String SECOND = "rlvr-2";
  static final String ROTATED = "rlvr-2-rotated";
  static final String SUPERVISED = "sft";
  static final String EQUAL_NORM = "sft-equal-norm";
  static final String EQUAL_STEPS = "sft-equal-steps";
  static final String REJECTION = "rejection";
  static final String SAFE = "safe";
  static final String SAFE_RANDOM = "random-safe";
  static final String PRINCIPAL = "principal";
  static final String HALF_RANDOM = "random-half";
  static final String LORA = "lora";
  static final String PISSA = "pissa";

  private static final double RATE = 1e-5;
  private static final double SUPERVISED_RATE = 1e-4;
  private static final double ADAPTER_RATE = 1e-3;

  private Arm(
      String id, String title, String how, Method method, double rate, long steps, long seed) {
    this(
        id,
        title,
        how,
        method,
        false,
        rate,
        steps,
        seed,
        Optional.empty(),
        Optional.empty(),
        false,
        Optional.empty());
  }

  private Arm fromRotated() {
    return new Arm(
        id, title, how, method, true, rate, steps, seed, untilNorm, mask, likeMask, adapter);
  }

  private Arm until(String other) {
    return new Arm(
        id,
        title,
        how,
        method,
        rotated,
        rate,
        steps,
        seed,
        Optional.of(other),
        mask,
        likeMask,
        adapter);
  }

  private Arm within(MaskKind kind, boolean like) {
    return new Arm(
        id,
        title,
        how,
        method,
        rotated,
        rate,
        steps,
        seed,
        untilNorm,
        Optional.of(kind),
        like,
        adapter);
  }

  private Arm by(Initialisation kind) {
    return new Arm(
        id,
        title,
        how,
        method,
        rotated,
        rate,
        steps,
        seed,
        untilNorm,
        mask,
        likeMask,
        Optional.of(kind));
  }

  private static Arm reinforced(String id, String title, String how, long steps, long seed) {
    return new Arm(id, title, how, Method.REINFORCED, RATE, steps, seed);
  }

  /**
   * All runs, in an order in which each comes after those that it refers to.
   *
   * @param steps of reinforcement
   * @param quick without adapters, rejection sampling and the principal mask
   */
  static List<Arm> all(long steps, long seed, boolean quick) {
    List<Arm> arms = new ArrayList<>();
    long first = 2 * seed + 1;
    long second = 2 * seed + 2;
    arms.add(reinforced(FIRST, "RLVR, seed 1", "DAPO on addition", steps, first));
    arms.add(reinforced(SECOND, "RLVR, seed 2", "DAPO on addition", steps, second));
    arms.add(
        new Arm(
            SUPERVISED,
            "SFT, usual rate",
            "answers worked out digit by digit are imitated, at ten times the rate and three times the steps",
            Method.SCRATCHPAD,
            SUPERVISED_RATE,
            3 * steps,
            first));
    arms.add(
        new Arm(
            EQUAL_STEPS,
            "SFT, RLVR's rate and steps",
            "the same answers, at the rate and for the steps of RLVR",
            Method.SCRATCHPAD,
            RATE,
            steps,
            first));
    arms.add(
        new Arm(
                EQUAL_NORM,
                "SFT, RLVR's |dW|",
                "the same answers, at RLVR's rate until the step is as long as RLVR's",
                Method.SCRATCHPAD,
                RATE,
                2 * steps,
                first)
            .until(FIRST));
    if (!quick) {
      arms.add(
          new Arm(
              REJECTION,
              "Rejection sampling",
              "right completions of its own are imitated",
              Method.REJECTION,
              RATE,
              steps,
              first));
    }
    arms.add(
        reinforced(
                ROTATED,
                "RLVR, seed 2, rotated base",
                "values of layers 1 and 2 have other axes",
                steps,
                second)
            .fromRotated());
    arms.add(
        reinforced(
                SAFE,
                "RLVR, safe mask",
                "only small weights and those that are not principal may move",
                steps,
                first)
            .within(MaskKind.SAFE, false));
    arms.add(
        reinforced(
                SAFE_RANDOM,
                "RLVR, random mask like safe",
                "as many weights, at random places",
                steps,
                first)
            .within(MaskKind.SAFE, true));
    if (!quick) {
      arms.add(
          reinforced(
                  PRINCIPAL,
                  "RLVR, principal mask",
                  "only the principal half of the weights may move",
                  steps,
                  first)
              .within(MaskKind.PRINCIPAL, false));
      arms.add(
          reinforced(
                  HALF_RANDOM,
                  "RLVR, random half",
                  "as many weights, at random places",
                  steps,
                  first)
              .within(MaskKind.PRINCIPAL, true));
      for (Initialisation kind : List.of(Initialisation.LORA, Initialisation.PISSA)) {
        boolean lora = kind == Initialisation.LORA;
        arms.add(
            new Arm(
                    lora ? LORA : PISSA,
                    lora ? "RLVR, LoRA" : "RLVR, PiSSA",
                    lora
                        ? "factors of rank 8 that begin as nothing"
                        : "factors of rank 8 that begin as the leading triplets",
                    Method.REINFORCED,
                    ADAPTER_RATE,
                    steps,
                    first)
                .by(kind));
      }
    }
    return List.copyOf(arms);
  }
}
