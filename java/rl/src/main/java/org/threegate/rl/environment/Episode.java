package org.threegate.rl.environment;

/**
 * The course of one completion in an {@link Environment}. One thread at a time calls an episode,
 * but not always the same one.
 *
 * <pre>{@code
 * Episode echo = text -> Reply.of(new org.threegate.rl.task.Message("user", text));
 * }</pre>
 */
@FunctionalInterface
public interface Episode extends AutoCloseable {
  /**
   * Answers a turn of the model. Every turn is answered, also the last one that the limits of the
   * run allow. The model does not see the messages of that answer, but its reward counts.
   *
   * @param text what the model wrote in this turn, without special tokens
   * @return the answer
   * @throws Exception when the turn cannot be answered. It then counts as a crash, and ends the
   *     episode with the reward 0
   */
  Reply reply(String text) throws Exception;

  /** Ends the episode. An exception counts as a crash, and changes no reward. */
  @Override
  default void close() {}
}
