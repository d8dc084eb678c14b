package org.threegate.patch;

/**
 * The versions that a patch connects.
 *
 * @param base version of the checkpoint that the patch applies to, at least 0
 * @param target version of the checkpoint that it produces, above {@code base}
 */
public record PatchVersions(long base, long target) {
  /** The versions of a patch that belongs to no sequence: from 0 to 1. */
  public static final PatchVersions FIRST = new PatchVersions(0, 1);

  /**
   * Checks the versions.
   *
   * @throws IllegalArgumentException if the versions do not increase
   */
  public PatchVersions {
    if (base < 0 || target <= base) {
      throw new IllegalArgumentException(
          "the patch leads from version "
              + base
              + " to version "
              + target
              + "; versions must increase from 0");
    }
  }
}
