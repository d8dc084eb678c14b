package org.threegate.rl.task;

/**
 * A text to be imitated.
 *
 * @param prompt which is given, and not learnt; empty: all of the response is
 * @param response what follows
 */
public record Demonstration(String prompt, String response) {}
