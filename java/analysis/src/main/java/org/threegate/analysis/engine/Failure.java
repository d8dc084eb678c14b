package org.threegate.analysis.engine;

/**
 * A tensor that could not be measured.
 *
 * @param tensor name of the tensor
 * @param reason cause of the failure, in one line
 */
public record Failure(String tensor, String reason) {}
