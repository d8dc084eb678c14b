package org.threegate.rl.objective;

import java.util.Optional;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;

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

  /**
   * Sets the log-probabilities of tokens that do not count to 0. An environment writes tokens that
   * are hardly possible for the policy: a ratio or a divergence there may be infinite, which no
   * multiplication with 0 removes.
   */
  PolicyBatch counted() {
    Tensor left = mask.to(ScalarType.Bool).logical_not();
    Scalar none = new Scalar(0.0);
    return new PolicyBatch(
        logProbabilities.masked_fill(left, none),
        before.masked_fill(left, none),
        mask,
        advantages,
        reference.map(own -> own.masked_fill(left, none)),
        sampling,
        entropies,
        focus);
  }
}
