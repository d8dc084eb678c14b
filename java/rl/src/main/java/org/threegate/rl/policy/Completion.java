package org.threegate.rl.policy;

import java.util.Arrays;

/**
 * A sampled completion of a prompt.
 *
 * @param tokens the tokens of the completion, including the end token if it has one
 * @param logProbabilities the log-probability of each token in nats, over the whole vocabulary, at
 *     the sampling temperature (at 1 for greedy decoding). Neither the repetition penalty nor a
 *     restriction to likely tokens has an effect on it, as in TRL
 * @param finish the reason that the completion ended
 * @param version the version of the weights that it was sampled with
 */
public record Completion(
    int[] tokens, float[] logProbabilities, FinishReason finish, long version) {
  /** {@return whether an end token or a stop string ended the completion} */
  public boolean stopped() {
    return finish.isWhole();
  }

  /** {@return the tokens without the end token} */
  public int[] content() {
    boolean ended = finish instanceof FinishReason.EndToken;
    return Arrays.copyOf(tokens, tokens.length - (ended ? 1 : 0));
  }
}
