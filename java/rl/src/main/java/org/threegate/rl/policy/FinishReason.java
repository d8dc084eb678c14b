package org.threegate.rl.policy;

/** The reason that a completion ended. */
public sealed interface FinishReason {
  /**
   * An end token, which is the last token of the completion.
   *
   * @param token the id of the token
   */
  record EndToken(int token) implements FinishReason {}

  /**
   * A stop string. The last token has its end, and may go beyond it.
   *
   * @param text the stop string
   */
  record StopString(String text) implements FinishReason {}

  /** The maximal number of tokens. */
  record Length() implements FinishReason {}

  /**
   * The engine gave up before the end. The completion has the tokens until then.
   *
   * @param why what the engine says about it, in one line
   */
  record Aborted(String why) implements FinishReason {}

  /** {@return whether the completion is whole: an end token or a stop string ended it} */
  default boolean isWhole() {
    return this instanceof EndToken || this instanceof StopString;
  }
}
