package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Locale;
import java.util.stream.Collectors;
import org.threegate.file.AtomicFiles;
import org.threegate.patch.ChecksumFormat;
import org.threegate.patch.PatchFormat;
import org.threegate.patch.PatchOptions;
import org.threegate.patch.PositionEncoding;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Option;

/** Options of commands that write a patch. */
final class PatchOutputMixin {
  @Output(Output.Kind.NEW)
  @Option(
      names = "--out",
      paramLabel = "PATCH",
      required = true,
      description = "Write the patch to this new file, or to a new directory for disk deltas.")
  private Path out;

  @Option(
      names = "--format",
      paramLabel = "FORMAT",
      defaultValue = "planar",
      description =
          "Format: planar, disk-delta-xor, disk-delta-overwrite or sparse (default:"
              + " ${DEFAULT-VALUE}).")
  private String format;

  @Option(
      names = "--checksum",
      paramLabel = "NAME",
      defaultValue = "xxh3-128",
      description =
          "Checksum of each tensor: xxh3-128, blake3 or adler32 (default: ${DEFAULT-VALUE}).")
  private String checksum;

  @Option(
      names = "--raw-positions",
      description = "Store positions in the sparse format as they are, not as gaps between them.")
  private boolean raw;

  /** Returns where the patch is written. */
  Path out() {
    return out;
  }

  /** Returns the chosen format, checksum and positions. */
  PatchOptions options() {
    return PatchOptions.of(format(format))
        .withChecksum(checksum(checksum))
        .withPositions(raw ? PositionEncoding.RAW : PositionEncoding.GAPS);
  }

  private static PatchFormat format(String label) {
    try {
      return PatchFormat.of(label);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("--format: " + e.getMessage(), e);
    }
  }

  private static ChecksumFormat checksum(String label) {
    return ChecksumFormat.byLabel(label)
        .orElseThrow(
            () ->
                new InvalidInputException(
                    "--checksum: \""
                        + label
                        + "\" is not a checksum; expected one of "
                        + Arrays.stream(ChecksumFormat.values())
                            .map(ChecksumFormat::label)
                            .collect(Collectors.joining(", "))));
  }

  /**
   * Returns a line about the patch that was written.
   *
   * @param model checkpoint whose size the patch is compared with
   */
  String summary(Path model) throws IOException {
    long patch = bytes(out);
    long whole = bytes(model);
    return String.format(
        Locale.ROOT,
        "patch: %s, %,d bytes, %.2f %% of %s",
        out,
        patch,
        100.0 * patch / Math.max(1, whole),
        model);
  }

  private static long bytes(Path path) throws IOException {
    if (!Files.isDirectory(path)) {
      return Files.size(path);
    }
    long sum = 0;
    for (Path file : AtomicFiles.list(path)) {
      sum += Files.size(file);
    }
    return sum;
  }
}
