package org.threegate.analysis.engine;

import org.threegate.analysis.statistics.Accounting;

/**
 * The result of writing masks.
 *
 * @param matrices number of matrices in the file
 * @param baseDigest SHA-256 of the checkpoint
 * @param accounting where each stored tensor ended; those with a mask are the compared ones
 */
public record MaskOutcome(int matrices, String baseDigest, Accounting.Side accounting) {}
