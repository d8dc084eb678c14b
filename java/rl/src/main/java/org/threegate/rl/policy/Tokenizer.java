package org.threegate.rl.policy;

/** Converts text to tokens and back. */
public interface Tokenizer extends AutoCloseable {
  /** Encodes a text as token ids. No special tokens are added to those that the text contains. */
  int[] encode(String text);

  /** Decodes token ids to text, including special tokens. */
  String decode(int[] tokens);

  @Override
  default void close() {}
}
