package org.threegate.rl.verifier;

import org.threegate.rl.task.Problem;

/**
 * A completion of a problem, which a reward function scores.
 *
 * @param problem the problem, with its prompt, its answer and its whole row
 * @param response the text that the model wrote, without special tokens
 * @param tokens the tokens of the completion, including the end token
 */
public record Attempt(Problem problem, String response, int[] tokens) {
  /**
   * An attempt with a response and an answer only.
   *
   * @param response the text that the model wrote
   * @param answer the reference answer of the problem
   */
  public Attempt(String response, String answer) {
    this(Problem.of("", answer, ""), response, new int[0]);
  }
}
