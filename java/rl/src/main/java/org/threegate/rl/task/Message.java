package org.threegate.rl.task;

/** A turn of a conversation. */
public record Message(String role, String content) {}
