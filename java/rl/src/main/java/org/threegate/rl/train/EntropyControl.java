package org.threegate.rl.train;

import java.util.Map;
import java.util.function.UnaryOperator;
import org.threegate.rl.objective.EntropyBonus;

/** The weight of the entropy over the updates of a run. */
final class EntropyControl {
  private static final String COEFFICIENT = "entropy_coef";
  private static final String LAST = "entropy_last";

  private final EntropyBonus bonus;
  private double coefficient;
  private double last = Double.POSITIVE_INFINITY;

  EntropyControl(EntropyBonus bonus) {
    this.bonus = bonus;
    this.coefficient = bonus.coef();
  }

  /** Returns the weight that the next update applies. */
  double applied() {
    return bonus.control().filter(control -> last > control.target()).isPresent() ? 0 : coefficient;
  }

  /** Adapts the weight to the entropy of an update. */
  void after(double entropy) {
    bonus
        .control()
        .ifPresent(
            control -> {
              coefficient =
                  entropy <= control.target()
                      ? Math.min(coefficient + control.delta(), control.max())
                      : Math.max(coefficient - control.delta(), control.min());
              last = entropy;
            });
  }

  /** Returns the weight after the last update. */
  double coefficient() {
    return coefficient;
  }

  /** Returns the numbers that a resumed run needs. */
  Map<String, String> state() {
    return bonus.control().isEmpty()
        ? Map.of()
        : Map.of(COEFFICIENT, Double.toString(coefficient), LAST, Double.toString(last));
  }

  /**
   * Returns the step that restores saved numbers.
   *
   * @param saved returns the text that is saved under a name
   * @throws NumberFormatException when a number is missing or not a number
   */
  Runnable restored(UnaryOperator<String> saved) {
    if (bonus.control().isEmpty()) {
      return () -> {};
    }
    double weight = Double.parseDouble(saved.apply(COEFFICIENT));
    double entropy = Double.parseDouble(saved.apply(LAST));
    if (!Double.isFinite(weight) || Double.isNaN(entropy)) {
      throw new NumberFormatException("not finite");
    }
    return () -> {
      coefficient = weight;
      last = entropy;
    };
  }
}
