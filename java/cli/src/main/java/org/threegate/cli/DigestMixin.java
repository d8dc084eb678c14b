package org.threegate.cli;

import org.threegate.patch.DigestPolicy;
import picocli.CommandLine.Option;

/** The option that accepts patches without digests. */
final class DigestMixin {
  @Option(
      names = "--without-digests",
      description = {
        "Accept a sparse patch without digests, as other programs write them. Nothing can then tell"
            + " whether the patch is complete and was made from this base."
      })
  private boolean without;

  /** Returns whether digests are required. */
  DigestPolicy policy() {
    return without ? DigestPolicy.IF_PRESENT : DigestPolicy.REQUIRED;
  }
}
