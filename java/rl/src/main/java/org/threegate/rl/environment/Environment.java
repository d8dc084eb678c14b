package org.threegate.rl.environment;

import java.util.List;
import org.threegate.rl.task.Problem;

/**
 * Answers a model over several turns, as a tool or a game does. Training calls it through a {@link
 * BoundedEnvironment}, which handles exceptions and time limits, and closes it when it is {@link
 * AutoCloseable}.
 *
 * <p>A run repeats its bits only if the environment does: everything that is random in an episode
 * has to follow from the seed.
 *
 * <pre>{@code
 * Environment hints =
 *     (problem, seed) ->
 *         text ->
 *             text.strip().equals(problem.answer())
 *                 ? Reply.done(1)
 *                 : Reply.of(new Message("user", "No. It begins with " + problem.answer().charAt(0)));
 * }</pre>
 */
@FunctionalInterface
public interface Environment {
  /**
   * Starts an episode. The model has seen the prompt of the problem, and speaks next.
   *
   * @param problem the problem, with its prompt, its answer and its whole row
   * @param seed the seed of everything that is random in the episode
   * @return the episode
   * @throws Exception when there is no episode for the problem. It then counts as a crash
   */
  Episode start(Problem problem, long seed) throws Exception;

  /**
   * {@return texts that end a turn of the model, besides end tokens} They are part of the turn. A
   * tool ends a turn where a call of it ends.
   */
  default List<String> stops() {
    return List.of();
  }

  /**
   * {@return whether episodes have rewards} The rewards of an environment that has some count
   * beside those of reward functions, and tell what is right.
   */
  default boolean isScoring() {
    return true;
  }

  /** {@return whether several threads may call different episodes at the same time} */
  default boolean isConcurrent() {
    return true;
  }
}
