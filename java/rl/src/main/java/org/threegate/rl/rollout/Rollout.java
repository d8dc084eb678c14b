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
 * @param completion the tokens of the completion: sampled ones, and those that an environment wrote
 *     between them. The latter have log-probability 0
 * @param response the text of the last turn that was sampled, without the end token
 * @param scores the scores in the order of the reward functions, then that of the environment if it
 *     has one; one or more
 * @param transcript the turns of the completion
 */
public record Rollout(
    Problem problem,
    int[] prompt,
    Completion completion,
    String response,
    List<Score> scores,
    Transcript transcript) {
  /** Copies the scores. */
  public Rollout {
    scores = List.copyOf(scores);
  }

  /**
   * Creates a completion without an environment.
   *
   * @param problem the problem
   * @param prompt the tokens of the prompt
   * @param completion the sampled tokens
   * @param response the text of the completion, without the end token
   * @param scores the scores of the response, in the order of the reward functions, one or more
   */
  public Rollout(
      Problem problem, int[] prompt, Completion completion, String response, List<Score> scores) {
    this(
        problem,
        prompt,
        completion,
        response,
        scores,
        Transcript.alone(completion.tokens().length, response));
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

  /**
   * {@return the score that tells whether the response is right} It is that of the environment,
   * where it has rewards, and else that of the first reward function.
   */
  public Score score() {
    return scores.get(transcript.isScored() ? scores.size() - 1 : 0);
  }
}
