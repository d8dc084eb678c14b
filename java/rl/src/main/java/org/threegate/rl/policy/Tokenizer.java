package org.threegate.rl.policy;

/** Converts text to tokens and back. */
public interface Tokenizer extends AutoCloseable {
  /**
   * Encodes a text as token ids. No special tokens are added to those that the text contains.
   *
   * @param text the text
   * @return the token ids
   */
  int[] encode(String text);

  /**
   * Decodes token ids to text, including special tokens.
   *
   * @param tokens the token ids
   * @return the text
   */
  String decode(int[] tokens);

  @Override
  default void close() {}
}
