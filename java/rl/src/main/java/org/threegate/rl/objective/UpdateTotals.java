package org.threegate.rl.objective;

import org.bytedeco.pytorch.Tensor;

/**
 * The sizes of an update, which losses are divided by. An update is differentiated in parts. With
 * the totals of the whole update, the losses of its parts add up.
 *
 * @param completions the number of completions of the update
 * @param tokens the number of counted tokens of the update
 * @param stepTokens the number of counted tokens of the step, divided by the number of updates that
 *     its completions are split into
 * @param focusTokens the number of tokens that {@link PolicyBatch#focus} selects in the update
 * @param entropyCoefficient the weight of the entropy in this update
 */
public record UpdateTotals(
    double completions,
    double tokens,
    double stepTokens,
    double focusTokens,
    double entropyCoefficient) {
  /**
   * {@return the totals of an update that is one batch}
   *
   * @param batch the completions
   * @param entropyCoefficient the weight of the entropy
   */
  public static UpdateTotals of(PolicyBatch batch, double entropyCoefficient) {
    double tokens = batch.mask().sum().item_double();
    Tensor focus = batch.focus().map(own -> own.mul(batch.mask())).orElse(batch.mask());
    return new UpdateTotals(
        batch.mask().size(0), tokens, tokens, focus.sum().item_double(), entropyCoefficient);
  }
}
