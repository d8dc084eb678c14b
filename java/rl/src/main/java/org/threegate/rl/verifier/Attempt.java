package org.threegate.rl.verifier;

import java.util.List;
import org.threegate.rl.task.Message;
import org.threegate.rl.task.Problem;

/**
 * A completion of a problem, which a reward function scores.
 *
 * @param problem the problem, with its prompt, its answer and its whole row
 * @param response the text that the model wrote, without special tokens. In an environment it is
 *     that of the last turn
 * @param tokens the tokens of the completion, including the end token and those that an environment
 *     wrote
 * @param messages the turns of the completion; those of the model have the role {@code assistant}
 */
public record Attempt(Problem problem, String response, int[] tokens, List<Message> messages) {
  /** Copies the messages. */
  public Attempt {
    messages = List.copyOf(messages);
  }

  /**
   * An attempt of one turn.
   *
   * @param problem the problem, with its prompt, its answer and its whole row
   * @param response the text that the model wrote, without special tokens
   * @param tokens the tokens of the completion, including the end token
   */
  public Attempt(Problem problem, String response, int[] tokens) {
    this(problem, response, tokens, List.of(new Message("assistant", response)));
  }

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
