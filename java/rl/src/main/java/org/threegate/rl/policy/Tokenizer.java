package org.threegate.rl.policy;

import java.util.List;

/** Converts text to tokens and back. */
public interface Tokenizer extends AutoCloseable {
  /**
   * The special tokens that a tokenizer puts around each text, such as that of the beginning.
   *
   * @param before the tokens before the text
   * @param after the tokens after the text
   */
  record Surrounding(List<Integer> before, List<Integer> after) {
    /** No special tokens. */
    public static final Surrounding NONE = new Surrounding(List.of(), List.of());

    /** Copies the lists. */
    public Surrounding {
      before = List.copyOf(before);
      after = List.copyOf(after);
    }

    /**
     * {@return tokens with the special tokens around them}
     *
     * @param tokens the tokens of a text
     */
    public int[] around(int[] tokens) {
      int[] all = new int[before.size() + tokens.length + after.size()];
      for (int i = 0; i < before.size(); i++) {
        all[i] = before.get(i);
      }
      System.arraycopy(tokens, 0, all, before.size(), tokens.length);
      for (int i = 0; i < after.size(); i++) {
        all[before.size() + tokens.length + i] = after.get(i);
      }
      return all;
    }
  }

  /**
   * Encodes a text as token ids. No special tokens are added to those that the text contains.
   *
   * @param text the text
   * @return the token ids
   */
  int[] encode(String text);

  /** {@return the special tokens around a text that no chat template has rendered} */
  default Surrounding surrounding() {
    return Surrounding.NONE;
  }

  /**
   * Decodes token ids to text, including special tokens.
   *
   * @param tokens the token ids
   * @return the text
   */
  String decode(int[] tokens);

  /**
   * Decodes token ids to the text that people read: without special tokens, as transformers does
   * with {@code skip_special_tokens}.
   *
   * @param tokens the token ids
   * @return the text
   */
  default String text(int[] tokens) {
    return decode(tokens);
  }

  @Override
  default void close() {}
}
