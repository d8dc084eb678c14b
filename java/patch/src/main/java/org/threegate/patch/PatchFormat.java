package org.threegate.patch;

import java.util.Arrays;
import java.util.stream.Collectors;

/** How a patch is written. docs/patches.md has each, byte by byte. */
public enum PatchFormat {
  /** Disk deltas: all bytes of a changed tensor, old xor new, compressed. */
  DISK_DELTA_XOR("disk-delta-xor"),
  /** Disk deltas: positions of changed bytes, and the new bytes, compressed. */
  DISK_DELTA_OVERWRITE("disk-delta-overwrite"),
  /** Positions of changed elements and their values as plain tensors. */
  SPARSE("sparse"),
  /** Gaps between changed elements and xor-ed values in byte planes, compressed. */
  PLANAR("planar");

  private final String label;

  PatchFormat(String label) {
    this.label = label;
  }

  /** As in options. */
  public String label() {
    return label;
  }

  /**
   * The format with this label.
   *
   * @throws IllegalArgumentException naming the labels that there are
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
                        + "\" is no format of patches; there are "
                        + Arrays.stream(values())
                            .map(PatchFormat::label)
                            .collect(Collectors.joining(", "))));
  }
}
