package org.threegate.rl.objective;

import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * Baselines to compare reinforcement learning with: supervised fine-tuning and direct preference
 * optimization.
 *
 * <pre>{@code
 * var demonstrated = decoder.logProbabilities(tokens, mask, 1);
 * Loss loss = Comparisons.supervised(demonstrated, mask.narrow(1, 1, mask.size(1) - 1));
 * }</pre>
 */
public final class Comparisons {
  private Comparisons() {}

  /**
   * Returns the mean negative log-likelihood of the tokens (supervised fine-tuning).
   *
   * @param logProbabilities the log-probability of each token, [texts, tokens]
   * @param mask 1 for tokens that count, 0 for others, [texts, tokens]. Rejection sampling masks
   *     whole texts
   * @return the loss
   */
  public static Loss supervised(Tensor logProbabilities, Tensor mask) {
    Tensor counted = mask.to(logProbabilities.scalar_type());
    Tensor tokens = counted.sum().clamp_min(new Scalar(1.0));
    return new Loss(logProbabilities.mul(counted).sum().div(tokens).neg(), Map.of());
  }

  /**
   * Returns the loss of DPO (arXiv 2305.18290): -log σ(beta · (margin of the policy - margin of the
   * reference)).
   *
   * @param chosen the policy's log-likelihoods of the preferred texts, [pairs]
   * @param rejected the policy's log-likelihoods of the other texts, [pairs]
   * @param chosenBefore the reference's log-likelihoods of the preferred texts, [pairs]
   * @param rejectedBefore the reference's log-likelihoods of the other texts, [pairs]
   * @param weight beta, the weight of the implicit KL penalty
   * @return the loss, and TRL's {@code rewards/} metrics
   */
  public static Loss preference(
      Tensor chosen, Tensor rejected, Tensor chosenBefore, Tensor rejectedBefore, double weight) {
    Tensor better = chosen.sub(chosenBefore).mul(new Scalar(weight));
    Tensor worse = rejected.sub(rejectedBefore).mul(new Scalar(weight));
    Tensor margins = better.sub(worse);
    return new Loss(
        torch.log_sigmoid(margins).mean().neg(),
        Map.of(
            "rewards/chosen", better.mean().item_double(),
            "rewards/rejected", worse.mean().item_double(),
            "rewards/margins", margins.mean().item_double(),
            "rewards/accuracies", better.gt(worse).to(ScalarType.Double).mean().item_double()));
  }
}
