package org.threegate.rl.objective;

import java.util.Optional;
import org.bytedeco.pytorch.Tensor;

/**
 * Completions and what is known of them; all [completions, tokens] but the advantages.
 *
 * @param logProbabilities of the policy, which can be differentiated
 * @param before of the policy that drew them
 * @param reference of the reference model, where there is one
 * @param mask 1 for tokens of a completion, 0 for padding, in the dtype of the others
 * @param advantages [completions]
 */
public record PolicyBatch(
    Tensor logProbabilities,
    Tensor before,
    Optional<Tensor> reference,
    Tensor mask,
    Tensor advantages) {}
