package org.threegate.rl.policy;

import java.util.Optional;
import org.bytedeco.pytorch.Tensor;

/**
 * What a model says about tokens, given the tokens before them.
 *
 * @param logProbabilities the log-probabilities in nats, [texts, tokens]
 * @param entropies the entropies of the distributions that they are of, in nats, [texts, tokens],
 *     where these were asked for
 */
public record TokenMeasures(Tensor logProbabilities, Optional<Tensor> entropies) {
  /** What is wanted of the entropies. */
  public enum Entropies {
    /** They are not computed. */
    NONE,
    /** They are computed without a gradient, in pieces of little memory. */
    MEASURED,
    /** They are computed with a gradient. */
    DIFFERENTIATED
  }
}
