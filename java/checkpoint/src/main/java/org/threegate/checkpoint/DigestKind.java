package org.threegate.checkpoint;

/**
 * What identifies the contents of a checkpoint.
 *
 * @see Identity
 */
public enum DigestKind {
  /** Nothing is computed. */
  NONE,
  /**
   * SHA-256 over the names, dtypes, shapes and bytes of the tensors. It does not depend on how they
   * are divided into files.
   */
  TENSORS,
  /** SHA-256 of each file, by which hubs of models name large files. */
  SHA256,
  /** BLAKE3 over the same as {@link #TENSORS}. All threads share one tensor. */
  BLAKE3;

  /** {@return whether each tensor has a digest of its own} */
  public boolean isOfTensors() {
    return this == TENSORS || this == BLAKE3;
  }
}
