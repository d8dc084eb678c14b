package org.threegate.rl.rollout;

import java.util.List;
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
 * @param scores the scores of the response, in the order of the reward functions, one or more
 */
public record Rollout(
    Problem problem, int[] prompt, Completion completion, String response, List<Score> scores) {
  /** Copies the scores. */
  public Rollout {
    scores = List.copyOf(scores);
  }

  /**
   * Creates a completion with the score of a single reward function.
   *
   * @param problem the problem
   * @param prompt the tokens of the prompt
   * @param completion the sampled tokens
   * @param response the text of the completion, without the end token
   * @param score the score of the response
   */
  public Rollout(
      Problem problem, int[] prompt, Completion completion, String response, Score score) {
    this(problem, prompt, completion, response, List.of(score));
  }

  /** {@return the score of the first reward function, which tells whether the response is right} */
  public Score score() {
    return scores.get(0);
  }
}
