package org.threegate.rl.policy;

/**
 * A sampled completion of a prompt.
 *
 * @param tokens the tokens of the completion, including the end token if it has one
 * @param logProbabilities the log-probability of each token over the whole vocabulary, at the
 *     sampling temperature (at 1 for greedy decoding)
 * @param stopped whether an end token ended the completion, and not the maximal length
 */
public record Completion(int[] tokens, float[] logProbabilities, boolean stopped) {}
