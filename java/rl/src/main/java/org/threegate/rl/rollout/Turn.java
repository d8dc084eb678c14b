package org.threegate.rl.rollout;

/**
 * A turn of a completion.
 *
 * @param isEnvironment whether the environment wrote it, and not the policy
 * @param tokens the number of its tokens
 * @param text its text, without special tokens
 */
public record Turn(boolean isEnvironment, int tokens, String text) {}
