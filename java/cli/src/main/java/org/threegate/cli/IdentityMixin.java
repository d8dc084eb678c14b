package org.threegate.cli;

import java.util.List;
import java.util.Locale;
import org.threegate.checkpoint.DigestKind;
import picocli.CommandLine.Option;

/** The option that selects what identifies checkpoints. */
final class IdentityMixin {
  private static final String KINDS =
      "tensors, SHA-256 of the tensors, however they are divided into files; sha256, SHA-256 of each"
          + " file, as hubs of models list it; blake3, BLAKE3 of the tensors; none";

  @Option(
      names = "--digest",
      paramLabel = "KIND",
      defaultValue = "tensors",
      converter = DigestConverter.class,
      description = "What identifies the checkpoints (default: ${DEFAULT-VALUE}): " + KINDS + ".")
  private DigestKind kind = DigestKind.TENSORS;

  DigestKind kind() {
    return kind;
  }

  /** Returns the option as words of a command line. */
  List<String> command() {
    return kind == DigestKind.TENSORS
        ? List.of()
        : List.of("--digest", kind.name().toLowerCase(Locale.ROOT));
  }

  /** The same option for commands that compute no digest unless asked. */
  static final class OnDemand {
    @Option(
        names = "--digest",
        paramLabel = "KIND",
        defaultValue = "none",
        converter = DigestConverter.class,
        description =
            "Print what identifies the checkpoint (default: ${DEFAULT-VALUE}): " + KINDS + ".")
    private DigestKind kind = DigestKind.NONE;

    DigestKind kind() {
      return kind;
    }
  }
}
