package org.threegate.rl.task;

/**
 * A message of a conversation, with the keys of transformers' chat templates.
 *
 * @param role the speaker, such as {@code user} or {@code assistant}
 * @param content the text of the message
 */
public record Message(String role, String content) {}
