package org.threegate.rl.policy;

/** Text to tokens and back. */
public interface Tokenizer extends AutoCloseable {
  /** Tokens of a text as it is: no special token is added to those that are written in it. */
  int[] encode(String text);

  /** The text of tokens, special ones among them. */
  String decode(int[] tokens);

  @Override
  default void close() {}
}
