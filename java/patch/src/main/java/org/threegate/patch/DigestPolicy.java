package org.threegate.patch;

/** Whether a patch must carry a digest of every tensor that it changes. */
public enum DigestPolicy {
  /** A patch without a digest is refused. */
  REQUIRED,
  /**
   * Digests are compared where the patch has them. Sparse patches of other programs have none.
   * Nothing can tell whether such a patch is complete and was made from the given base.
   */
  IF_PRESENT
}
