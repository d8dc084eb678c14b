package org.threegate.rl.objective;

import java.util.Optional;
import org.bytedeco.pytorch.Tensor;

/**
 * A batch of completions, as {@link PolicyObjective} takes it. All tensors but the advantages have
 * the shape [completions, tokens].
 *
 * @param logProbabilities the log-probabilities under the policy, which require a gradient
 * @param before the log-probabilities under the policy that sampled the completions
 * @param reference the log-probabilities under the reference model, if there is one
 * @param mask 1 for tokens of a completion and 0 for padding, in the dtype of the others
 * @param advantages the advantage of each completion, [completions]
 */
public record PolicyBatch(
    Tensor logProbabilities,
    Tensor before,
    Optional<Tensor> reference,
    Tensor mask,
    Tensor advantages) {}
