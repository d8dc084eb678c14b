package org.threegate.rl.rollout;

import org.threegate.rl.policy.Completion;
import org.threegate.rl.task.Problem;
import org.threegate.rl.verifier.BoundedVerifier.Score;

/**
 * A completion of a problem.
 *
 * @param prompt its tokens
 * @param response the text of the completion, without the token that ended it
 */
public record Rollout(
    Problem problem, int[] prompt, Completion completion, String response, Score score) {}
