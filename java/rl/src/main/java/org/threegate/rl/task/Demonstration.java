package org.threegate.rl.task;

/**
 * A text to imitate.
 *
 * @param prompt the part that is given and has no loss. When it is empty, the whole response is
 *     learned
 * @param response the part to learn
 * @param rendered whether a chat template has made the prompt, which then has its special tokens
 */
public record Demonstration(String prompt, String response, boolean rendered) {
  /**
   * A text that no chat template has made. The tokenizer adds its special tokens.
   *
   * @param prompt the part that is given and has no loss
   * @param response the part to learn
   */
  public Demonstration(String prompt, String response) {
    this(prompt, response, false);
  }
}
