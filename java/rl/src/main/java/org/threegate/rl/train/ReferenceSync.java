package org.threegate.rl.train;

/**
 * Moves the reference model towards the policy during training (TR-DPO, arXiv 2404.09656; TRL's
 * {@code sync_ref_model}): π_ref becomes mixup · π + (1 - mixup) · π_ref.
 *
 * @param mixup the share of the policy ({@code ref_model_mixup_alpha}), from 0 to 1
 * @param steps the number of updates from one move to the next ({@code ref_model_sync_steps})
 */
public record ReferenceSync(double mixup, long steps) {
  /**
   * Validates the values.
   *
   * @throws IllegalArgumentException when one of them is out of its range
   */
  public ReferenceSync {
    if (!(mixup >= 0 && mixup <= 1) || steps < 1) {
      throw new IllegalArgumentException("mixup must be from 0 to 1, and steps 1 or more");
    }
  }
}
