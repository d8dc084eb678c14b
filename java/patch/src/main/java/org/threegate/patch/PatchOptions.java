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

  /**
   * {@return options with XXH3 digests, gaps as positions, and versions 0 to 1}
   *
   * @param format file format of the patch
   */
  public static PatchOptions of(PatchFormat format) {
    return new PatchOptions(
        format, ChecksumFormat.XXH3_128, PositionEncoding.GAPS, PatchVersions.FIRST);
  }

  /**
   * {@return these options with another checksum}
   *
   * @param other algorithm of the tensors' digests
   */
  public PatchOptions withChecksum(ChecksumFormat other) {
    return new PatchOptions(format, other, positions, versions);
  }

  /**
   * {@return these options with another encoding of positions}
   *
   * @param other how {@link PatchFormat#SPARSE} stores positions
   */
  public PatchOptions withPositions(PositionEncoding other) {
    return new PatchOptions(format, checksum, other, versions);
  }

  /**
   * {@return these options with other versions}
   *
   * @param other versions before and after the patch
   */
  public PatchOptions withVersions(PatchVersions other) {
    return new PatchOptions(format, checksum, positions, other);
  }
}
