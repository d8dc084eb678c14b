package org.threegate.rl.objective;

import java.util.Map;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;

/**
 * What reinforcement is compared with: supervision, of demonstrations or of one's own right
 * answers, and preferences.
 *
 * <pre>{@code
 * var demonstrated = decoder.logProbabilities(tokens, mask, 1);
 * Loss loss = Comparisons.supervised(demonstrated, mask.narrow(1, 1, mask.size(1) - 1));
 * }</pre>
 */
public final class Comparisons {
  private Comparisons() {}

  /**
   * The mean negative log-likelihood of tokens.
   *
   * @param logProbabilities [texts, tokens]
   * @param mask of those that count; rejection sampling leaves out whole texts
   */
  public static Loss supervised(Tensor logProbabilities, Tensor mask) {
    Tensor counted = mask.to(logProbabilities.scalar_type());
    Tensor tokens = counted.sum().clamp_min(new Scalar(1.0));
    return new Loss(logProbabilities.mul(counted).sum().div(tokens).neg(), Map.of());
  }

  /**
   * DPO (arXiv 2305.18290): - log σ(weight · (margin of the policy - margin of the reference)).
   *
   * @param chosen log-likelihoods of the better texts by the policy, [pairs]
   * @param rejected of the worse ones
   * @param chosenBefore and by the reference
   * @param weight beta
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
