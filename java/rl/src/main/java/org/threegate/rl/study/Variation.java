package org.threegate.rl.study;

import java.util.Map;

/** What a part of the study varies: the optimizer, the task or the base. */
enum Variation {
  /** AdamW, addition, and the base that comes with the study. */
  NONE("", "", "", Base.OWN, Task.ADDITION, Map.of(), 1),

  /** Stochastic gradient descent with momentum 0.9. Its steps are as large as gradients are. */
  SGD(
      "sgd",
      "SGD",
      "with SGD and momentum",
      Base.OWN,
      Task.ADDITION,
      Map.of("optimizer", "sgd"),
      200),

  /** Muon for hidden matrices. */
  MUON(
      "muon",
      "Muon",
      "with Muon for hidden matrices",
      Base.OWN,
      Task.ADDITION,
      Map.of("optimizer", "muon", "muon_lr_ratio", 4.0),
      1),

  /** Another task. */
  SUBTRACTION(
      "subtraction", "subtraction", "on another task", Base.OWN, Task.SUBTRACTION, Map.of(), 1),

  /** Another base, whose initial weights and pretraining texts differ. */
  OTHER_BASE(
      "other-base", "another base", "from another base", Base.OTHER, Task.ADDITION, Map.of(), 1);

  private final String id;
  private final String title;
  private final String how;
  private final Base base;
  private final Task task;
  private final Map<String, Object> keys;
  private final double rateFactor;

  Variation(
      String id,
      String title,
      String how,
      Base base,
      Task task,
      Map<String, Object> keys,
      double rateFactor) {
    this.id = id;
    this.title = title;
    this.how = how;
    this.base = base;
    this.task = task;
    this.keys = keys;
    this.rateFactor = rateFactor;
  }

  /** Returns the identifier, which begins the names of its runs; empty without a variation. */
  String id() {
    return id;
  }

  String title() {
    return title;
  }

  /** Returns what sets its runs apart. */
  String how() {
    return how;
  }

  Base base() {
    return base;
  }

  Task task() {
    return task;
  }

  /** Returns the keys of the configuration in which it differs. */
  Map<String, Object> keys() {
    return keys;
  }

  /** Returns the learning rate divided by that of AdamW. */
  double rateFactor() {
    return rateFactor;
  }

  /** Returns the variation with the same base and task, whose models are measured alike. */
  Variation measuredAs() {
    return keys.isEmpty() ? this : NONE;
  }

  /** Returns whether the steps of the optimizer are those of AdamW, as coherence assumes. */
  boolean isAdam() {
    return keys.isEmpty();
  }
}
