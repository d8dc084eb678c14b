package org.threegate.rl.objective;

import java.util.Optional;
import org.bytedeco.pytorch.Tensor;

/**
 * A batch of completions, as {@link PolicyObjective} takes it. All tensors but the advantages have
 * the shape [completions, tokens] and the same dtype.
 *
 * @param logProbabilities the log-probabilities under the policy, which require a gradient
 * @param before the log-probabilities under the policy that sampled the completions, as the trained
 *     model computes them
 * @param mask 1 for tokens that count and 0 for others
 * @param advantages the advantage of each completion, [completions]
 * @param reference the log-probabilities under the reference model, if there is one
 * @param sampling the log-probabilities that the sampler of the completions reported; NaN where it
 *     has none
 * @param entropies the entropy of the policy's distribution at each token, in nats
 * @param focus 1 for the tokens of the policy's loss, where this is restricted to some
 */
public record PolicyBatch(
    Tensor logProbabilities,
    Tensor before,
    Tensor mask,
    Tensor advantages,
    Optional<Tensor> reference,
    Optional<Tensor> sampling,
    Optional<Tensor> entropies,
    Optional<Tensor> focus) {
  /**
   * {@return a batch without the optional tensors}
   *
   * @param logProbabilities the log-probabilities under the policy
   * @param before the log-probabilities under the policy that sampled the completions
   * @param mask 1 for tokens that count and 0 for others
   * @param advantages the advantage of each completion
   */
  public static PolicyBatch of(
      Tensor logProbabilities, Tensor before, Tensor mask, Tensor advantages) {
    return new PolicyBatch(
        logProbabilities,
        before,
        mask,
        advantages,
        Optional.empty(),
        Optional.empty(),
        Optional.empty(),
        Optional.empty());
  }

  /**
   * {@return the batch with a reference}
   *
   * @param value the log-probabilities under the reference model
   */
  public PolicyBatch withReference(Tensor value) {
    return new PolicyBatch(
        logProbabilities, before, mask, advantages, Optional.of(value), sampling, entropies, focus);
  }

  /**
   * {@return the batch with the log-probabilities of its sampler}
   *
   * @param value the log-probabilities that the sampler reported
   */
  public PolicyBatch withSampling(Tensor value) {
    return new PolicyBatch(
        logProbabilities,
        before,
        mask,
        advantages,
        reference,
        Optional.of(value),
        entropies,
        focus);
  }

  /**
   * {@return the batch with entropies}
   *
   * @param value the entropy at each token, with a gradient if it is rewarded
   */
  public PolicyBatch withEntropies(Tensor value) {
    return new PolicyBatch(
        logProbabilities, before, mask, advantages, reference, sampling, Optional.of(value), focus);
  }

  /**
   * {@return the batch with a restriction of the policy's loss}
   *
   * @param value 1 for the tokens of the policy's loss and 0 for others
   */
  public PolicyBatch withFocus(Tensor value) {
    return new PolicyBatch(
        logProbabilities,
        before,
        mask,
        advantages,
        reference,
        sampling,
        entropies,
        Optional.of(value));
  }
}
