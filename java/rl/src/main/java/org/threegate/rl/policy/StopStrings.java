package org.threegate.rl.policy;

import java.util.Arrays;
import java.util.List;
import java.util.Optional;

/** Finds the stop string that ends a completion. */
@FunctionalInterface
interface StopStrings {
  /** No stop strings. */
  StopStrings NONE = (prompt, tokens, length) -> Optional.empty();

  /**
   * Returns the stop string whose end the last token has.
   *
   * @param prompt the tokens of the prompt
   * @param tokens the tokens of the completion, with space for more
   * @param length the number of tokens of the completion so far, 1 or more
   */
  Optional<String> at(int[] prompt, int[] tokens, int length);

  /** Returns a search for texts. */
  static StopStrings of(Tokenizer tokenizer, List<String> texts) {
    return texts.isEmpty() ? NONE : Decoded.of(tokenizer, texts);
  }

  /**
   * Searches decoded text, with the results of transformers' {@code StopStringCriteria}: a string
   * may begin in the prompt, and the last token may go beyond its end.
   *
   * @param tokenizer the tokenizer of the model
   * @param texts the stop strings
   * @param window the number of tokens that are searched
   */
  record Decoded(Tokenizer tokenizer, List<String> texts, int window) implements StopStrings {
    // Tokens before the longest string, because decoding can trim the beginning of a text.
    private static final int MARGIN = 4;

    static Decoded of(Tokenizer tokenizer, List<String> texts) {
      // A token that is part of a string has at least a byte of it.
      int longest = texts.stream().mapToInt(TokenizerFields::bytes).max().orElseThrow();
      return new Decoded(tokenizer, texts, longest + MARGIN);
    }

    @Override
    public Optional<String> at(int[] prompt, int[] tokens, int length) {
      int own = Math.min(length, window);
      int before = Math.min(prompt.length, window - own);
      int[] all = Arrays.copyOfRange(prompt, prompt.length - before, prompt.length + own);
      System.arraycopy(tokens, length - own, all, before, own);
      String text = tokenizer.decode(all);
      String known = tokenizer.decode(Arrays.copyOf(all, all.length - 1));
      int old = common(text, known);
      return texts.stream().filter(stop -> ends(text, stop, old)).findFirst();
    }

    /** Returns whether a text has a string that ends after a place. */
    private static boolean ends(String text, String stop, int place) {
      return text.indexOf(stop, Math.max(0, place - stop.length() + 1)) >= 0;
    }

    private static int common(String a, String b) {
      int length = 0;
      while (length < Math.min(a.length(), b.length()) && a.charAt(length) == b.charAt(length)) {
        length++;
      }
      return length;
    }
  }
}
