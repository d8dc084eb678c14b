package org.threegate.rl.policy;

/**
 * What a decoder made of a prompt.
 *
 * @param tokens a token that ended it among them
 * @param logProbabilities of each, at the temperature it was drawn with (at 1 where that is 0),
 *     among all tokens of the vocabulary
 * @param stopped a token ended it, not its length
 */
public record Completion(int[] tokens, float[] logProbabilities, boolean stopped) {}
