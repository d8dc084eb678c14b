package org.threegate.checkpoint;

import java.util.List;
import java.util.Optional;

/**
 * What identifies the contents of a checkpoint. Digests are in hexadecimal digits.
 *
 * @param sha256 SHA-256 of the tensors, see {@link Digests}; empty if not computed
 * @param blake3 BLAKE3 of the tensors; empty if not computed
 * @param files the files with tensors; no element if their digests were not computed
 */
public record Identity(Optional<String> sha256, Optional<String> blake3, List<FileDigest> files) {
  /** Nothing was computed. */
  public static final Identity NONE = new Identity(Optional.empty(), Optional.empty(), List.of());

  /** Copies the list. */
  public Identity {
    files = List.copyOf(files);
  }

  /**
   * A file and its digest.
   *
   * @param file name of the file, without its directory
   * @param bytes size of the file
   * @param sha256 SHA-256 of the whole file, as {@code sha256sum} prints it
   */
  public record FileDigest(String file, long bytes, String sha256) {}

  /**
   * {@return the identity that a digest of tensors is}
   *
   * @param kind what was computed
   * @param digest the digest
   */
  public static Identity of(DigestKind kind, String digest) {
    return switch (kind) {
      case TENSORS -> new Identity(Optional.of(digest), Optional.empty(), List.of());
      case BLAKE3 -> new Identity(Optional.empty(), Optional.of(digest), List.of());
      case NONE, SHA256 -> NONE;
    };
  }
}
