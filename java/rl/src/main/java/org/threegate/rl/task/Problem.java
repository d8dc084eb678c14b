package org.threegate.rl.task;

import java.util.List;

/**
 * What a model is asked, and what is right.
 *
 * @param messages a conversation, for a chat template; one of the role {@code ""} is a plain prompt
 * @param answer as its verifier reads it
 * @param kind what sort of problem it is; empty where nobody said
 */
public record Problem(List<Message> messages, String answer, String kind) {
  public Problem {
    messages = List.copyOf(messages);
    if (messages.isEmpty()) {
      throw new IllegalArgumentException("a problem without a prompt");
    }
  }

  /** A plain prompt. */
  public static Problem of(String prompt, String answer, String kind) {
    return new Problem(List.of(new Message("", prompt)), answer, kind);
  }

  /** Whether a chat template has to make a prompt of it. */
  public boolean isChat() {
    return !messages.get(0).role().isEmpty();
  }

  /**
   * The plain prompt.
   *
   * @throws IllegalStateException for a conversation
   */
  public String prompt() {
    if (isChat()) {
      throw new IllegalStateException("a conversation; a chat template makes a prompt of it");
    }
    return messages.get(0).content();
  }
}
