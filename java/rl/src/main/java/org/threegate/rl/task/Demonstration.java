package org.threegate.rl.task;

/**
 * A text to imitate.
 *
 * @param prompt the part that is given and has no loss. When it is empty, the whole response is
 *     learned
 * @param response the part to learn
 */
public record Demonstration(String prompt, String response) {}
