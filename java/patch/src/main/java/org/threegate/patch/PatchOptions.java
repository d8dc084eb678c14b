package org.threegate.patch;

/**
 * How a patch is written.
 *
 * <pre>{@code
 * PatchOptions options =
 *     PatchOptions.of(PatchFormat.SPARSE)
 *         .withChecksum(ChecksumFormat.BLAKE3)
 *         .withVersions(new PatchVersions(1, 2));
 * }</pre>
 *
 * @param format file format
 * @param checksum algorithm of the tensors' digests
 * @param positions how {@link PatchFormat#SPARSE} stores positions; other formats ignore it
 * @param versions versions before and after the patch
 */
public record PatchOptions(
    PatchFormat format,
    ChecksumFormat checksum,
    PositionEncoding positions,
    PatchVersions versions) {

  /** Returns options with XXH3 digests, gaps as positions, and versions 0 to 1. */
  public static PatchOptions of(PatchFormat format) {
    return new PatchOptions(
        format, ChecksumFormat.XXH3_128, PositionEncoding.GAPS, PatchVersions.FIRST);
  }

  /** Returns these options with another checksum. */
  public PatchOptions withChecksum(ChecksumFormat other) {
    return new PatchOptions(format, other, positions, versions);
  }

  /** Returns these options with another encoding of positions. */
  public PatchOptions withPositions(PositionEncoding other) {
    return new PatchOptions(format, checksum, other, versions);
  }

  /** Returns these options with other versions. */
  public PatchOptions withVersions(PatchVersions other) {
    return new PatchOptions(format, checksum, positions, other);
  }
}
