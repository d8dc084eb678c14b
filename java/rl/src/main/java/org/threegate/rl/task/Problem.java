package org.threegate.rl.task;

import java.util.List;

/**
 * A prompt and its reference answer.
 *
 * @param messages a conversation for the chat template. A single message with the role {@code ""}
 *     is a plain prompt
 * @param answer the reference answer, in the form that the verifier reads
 * @param kind the category of the problem; empty when it is unknown
 * @param rendered whether a chat template has made the plain prompt, which then has its special
 *     tokens. The tokenizer adds its own to other plain prompts
 * @param row the whole row of the data, a JSON object, for reward functions
 */
public record Problem(
    List<Message> messages, String answer, String kind, boolean rendered, String row) {
  /** The row of problems that are not from a file. */
  private static final String NO_ROW = "{}";

  /**
   * A problem without a row.
   *
   * @param messages a conversation for the chat template
   * @param answer the reference answer, in the form that the verifier reads
   * @param kind the category of the problem; empty when it is unknown
   * @param rendered whether a chat template has made the plain prompt
   */
  public Problem(List<Message> messages, String answer, String kind, boolean rendered) {
    this(messages, answer, kind, rendered, NO_ROW);
  }

  /**
   * Copies the list.
   *
   * @throws IllegalArgumentException when there is no message
   */
  public Problem {
    messages = List.copyOf(messages);
    if (messages.isEmpty()) {
      throw new IllegalArgumentException("a problem must have a message");
    }
  }

  /**
   * {@return a problem with a plain prompt}
   *
   * @param prompt the text of the prompt
   * @param answer the reference answer, in the form that the verifier reads
   * @param kind the category of the problem; empty when it is unknown
   */
  public static Problem of(String prompt, String answer, String kind) {
    return new Problem(List.of(new Message("", prompt)), answer, kind, false);
  }

  /**
   * {@return a problem with a plain prompt that a chat template has made}
   *
   * @param prompt the text of the prompt
   * @param answer the reference answer, in the form that the verifier reads
   * @param kind the category of the problem; empty when it is unknown
   */
  public static Problem rendered(String prompt, String answer, String kind) {
    return new Problem(List.of(new Message("", prompt)), answer, kind, true);
  }

  /**
   * {@return the same problem with a row}
   *
   * @param value the whole row of the data, a JSON object
   */
  public Problem withRow(String value) {
    return new Problem(messages, answer, kind, rendered, value);
  }

  /** {@return whether the problem is a conversation, which a chat template has to render} */
  public boolean isChat() {
    return !messages.get(0).role().isEmpty();
  }

  /**
   * {@return the plain prompt}
   *
   * @throws IllegalStateException when the problem is a conversation
   */
  public String prompt() {
    if (isChat()) {
      throw new IllegalStateException(
          "the problem is a conversation; render it with a chat template first");
    }
    return messages.get(0).content();
  }
}
