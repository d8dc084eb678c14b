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

  private static final String USER = "user";
  private static final Message QUESTION = new Message(USER, "question");

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
    return after(before, untilEnd(turn, rendered(messages), messages));
  }

  /**
   * Renders messages after a turn, from the end of its content to the next turn of the policy. A
   * template that has no place for the role of a message gets it as one of the user.
   */
  private String rendered(List<Message> messages) {
    List<Message> known =
        messages.stream()
            .map(own -> own.role().isEmpty() ? new Message(USER, own.content()) : own)
            .toList();
    try {
      String rest = rest(known);
      if (has(rest, known)) {
        return rest;
      }
    } catch (InvalidInputException e) {
      if (known.stream().allMatch(own -> own.role().equals(USER))) {
        throw e;
      }
    }
    String rest = rest(known.stream().map(own -> new Message(USER, own.content())).toList());
    if (!has(rest, known)) {
      throw new InvalidInputException(
          "the chat template leaves out messages of a user; environments need one that keeps them");
    }
    return rest;
  }

  private String rest(List<Message> messages) {
    List<Message> conversation = new ArrayList<>(List.of(QUESTION, new Message("assistant", TURN)));
    conversation.addAll(messages);
    String rendered = template.orElseThrow().prompt(conversation);
    int place = rendered.indexOf(TURN);
    if (place < 0) {
      throw new InvalidInputException(
          "the chat template leaves out the turn of an assistant; environments need one that keeps it");
    }
    return rendered.substring(place + TURN.length());
  }

  /** Returns whether a text has all contents. Templates may leave out the space around them. */
  private static boolean has(String rest, List<Message> messages) {
    return messages.stream().allMatch(own -> rest.contains(own.content().strip()));
  }

  /** Leaves out the end of the turn where its tokens have it already, with what is before it. */
  private String untilEnd(Completion turn, String rest, List<Message> messages) {
    if (!(turn.finish() instanceof FinishReason.EndToken end)) {
      return rest;
    }
    String mark = tokenizer.decode(new int[] {end.token()});
    int place = rest.indexOf(mark);
    int first =
        messages.isEmpty() ? rest.length() : rest.indexOf(messages.get(0).content().strip());
    return place >= 0 && place <= first ? rest.substring(place + mark.length()) : rest;
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
