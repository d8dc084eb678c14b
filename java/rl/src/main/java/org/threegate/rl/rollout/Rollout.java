package org.threegate.rl.rollout;

import org.threegate.rl.policy.Completion;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier.Score;

/**
 * A scored completion of a problem.
 *
 * @param problem the problem
 * @param prompt the tokens of the prompt
 * @param completion the sampled tokens
 * @param response the text of the completion, without the end token
 * @param score the score of the response
 */
public record Rollout(
    Problem problem, int[] prompt, Completion completion, String response, Score score) {}
