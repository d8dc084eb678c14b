package org.threegate.analysis.engine;

/**
 * A tensor that could not be measured.
 *
 * @param tensor its name
 * @param reason why, in one line
 */
public record Failure(String tensor, String reason) {}
