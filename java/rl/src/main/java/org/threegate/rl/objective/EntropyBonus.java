package org.threegate.rl.objective;

import java.util.Optional;

/**
 * The reward of entropy, with the names of TRL: the loss is lowered by the mean entropy of the
 * tokens times {@code entropy_coef}.
 *
 * @param coef the weight, or the first weight of an adaptive control
 * @param control the adaptive control of the weight, if there is one
 */
public record EntropyBonus(double coef, Optional<Control> control) {
  /** No reward of entropy. */
  public static final EntropyBonus NONE = new EntropyBonus(0, Optional.empty());

  /**
   * An adaptive control (Skywork-OR1, arXiv 2505.22312). After each update the weight grows by
   * {@code delta} if the entropy is at most the target, and else falls by it. It applies in the
   * next update if the entropy was at most the target.
   *
   * @param min the least weight
   * @param max the largest weight
   * @param delta the change per update
   * @param target the entropy, in nats per token
   */
  public record Control(double min, double max, double delta, double target) {}

  /** {@return whether entropy is rewarded at any time} */
  public boolean isActive() {
    return coef != 0 || control.isPresent();
  }
}
