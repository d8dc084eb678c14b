package org.threegate.rl.rollout;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Collectors;
import org.threegate.rl.policy.Completion;
import org.threegate.rl.policy.FinishReason;
import org.threegate.rl.policy.Tokenizer;
import org.threegate.rl.task.ChatTemplate;
import org.threegate.rl.task.Message;
import org.threegate.run.InvalidInputException;

/**
 * Converts messages of an environment to the tokens between two turns of the policy.
 *
 * @param tokenizer the tokenizer of the model
 * @param template the chat template of the model, if it has one
 */
record Observations(Tokenizer tokenizer, Optional<ChatTemplate> template) {
  /** The content of a turn that stands for that of the policy, whose tokens are known. */
  private static final String TURN = "0a7c41f3b2";

  private static final Message QUESTION = new Message("user", "question");

  /**
   * Returns the tokens of messages after a turn.
   *
   * @param turn the turn of the policy before them
   * @param messages the messages
   * @param isChat whether a chat template made the prompt
   */
  int[] tokens(Completion turn, List<Message> messages, boolean isChat) {
    String before = tokenizer.decode(turn.tokens());
    if (!isChat || template.isEmpty()) {
      return after(before, messages.stream().map(Message::content).collect(Collectors.joining()));
    }
    List<Message> conversation = new ArrayList<>(List.of(QUESTION, new Message("assistant", TURN)));
    messages.forEach(
        own -> conversation.add(own.role().isEmpty() ? new Message("user", own.content()) : own));
    String rendered = template.get().prompt(conversation);
    int place = rendered.indexOf(TURN);
    if (place < 0) {
      throw new InvalidInputException(
          "the chat template leaves out the turn of an assistant; environments need one that keeps it");
    }
    String rest = rendered.substring(place + TURN.length());
    // The end of the turn is in its tokens already, if it has an end token.
    if (turn.finish() instanceof FinishReason.EndToken end) {
      String mark = tokenizer.decode(new int[] {end.token()});
      rest = rest.startsWith(mark) ? rest.substring(mark.length()) : rest;
    }
    return after(before, rest);
  }

  /**
   * Encodes a text that follows another one. Some tokenizers encode the beginning of a text in
   * another way, so that both are encoded together where the tokens of the first one stay.
   */
  private int[] after(String before, String text) {
    int[] first = tokenizer.encode(before);
    int[] both = tokenizer.encode(before + text);
    return both.length >= first.length
            && Arrays.equals(both, 0, first.length, first, 0, first.length)
        ? Arrays.copyOfRange(both, first.length, both.length)
        : tokenizer.encode(text);
  }
}
