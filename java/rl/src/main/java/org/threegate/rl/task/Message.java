package org.threegate.rl.task;

/** A message of a conversation, with the keys of transformers' chat templates. */
public record Message(String role, String content) {}
