package org.threegate.analysis.engine;

import org.threegate.analysis.pairing.Pairing;

/**
 * The result of writing masks.
 *
 * @param matrices number of matrices in the file
 * @param baseDigest SHA-256 of the checkpoint
 * @param unmatched account of all stored tensors; those with a mask are the compared ones; {@code
 *     pairs()} is empty
 */
public record MaskOutcome(int matrices, String baseDigest, Pairing unmatched) {}
