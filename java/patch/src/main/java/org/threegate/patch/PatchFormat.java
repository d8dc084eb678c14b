package org.threegate.patch;

import java.util.Arrays;
import java.util.Optional;
import java.util.stream.Collectors;

/** File formats of weight patches. {@code docs/patches.md} specifies each of them. */
public enum PatchFormat {
  /** A directory: the bytes of each changed tensor, old xor new, compressed. */
  DISK_DELTA_XOR("disk-delta-xor", "xor", true),
  /** A directory: positions of changed bytes and the new bytes, compressed. */
  DISK_DELTA_OVERWRITE("disk-delta-overwrite", "overwrite", true),
  /** A file: positions of changed elements and their new values, as plain tensors. */
  SPARSE("sparse", "sparse_weight_patch", false),
  /** A file: gaps between changed elements and xor-ed values in byte planes, compressed. */
  PLANAR("planar", "threegate-planar-patch", false);

  private final String label;
  private final String metadataName;
  private final boolean directory;

  PatchFormat(String label, String metadataName, boolean directory) {
    this.label = label;
    this.metadataName = metadataName;
    this.directory = directory;
  }

  /** {@return the name that users give, such as {@code disk-delta-xor}} */
  public String label() {
    return label;
  }

  /** Returns the name in the metadata of a patch: its encoding, or its format. */
  String metadataName() {
    return metadataName;
  }

  /** {@return whether a patch of this format is a directory} */
  public boolean isDirectory() {
    return directory;
  }

  /**
   * {@return the format with a label}
   *
   * @param label name of a format, as {@link #label} returns it
   * @throws IllegalArgumentException if there is none; the message lists the labels
   */
  public static PatchFormat of(String label) {
    return Arrays.stream(values())
        .filter(format -> format.label.equals(label))
        .findFirst()
        .orElseThrow(
            () ->
                new IllegalArgumentException(
                    "\""
                        + label
                        + "\" is not a patch format; expected one of "
                        + Arrays.stream(values())
                            .map(PatchFormat::label)
                            .collect(Collectors.joining(", "))));
  }

  /**
   * Finds a format by its name in metadata.
   *
   * @param directory whether the patch is a directory
   */
  static Optional<PatchFormat> byMetadataName(String name, boolean directory) {
    return Arrays.stream(values())
        .filter(format -> format.directory == directory && format.metadataName.equals(name))
        .findFirst();
  }
}
