package org.threegate.analysis.engine;

/**
 * The result of writing masks.
 *
 * @param matrices number of matrices in the file
 * @param baseDigest SHA-256 of the checkpoint
 */
public record MaskOutcome(int matrices, String baseDigest) {}
