package org.threegate.patch;

import java.nio.file.Path;
import org.threegate.run.InvalidInputException;

/**
 * Layout of the journal of a patch in place.
 *
 * <p>Numbers are big-endian; positions, words and values of a part are little-endian. The fields
 * are, in this order:
 *
 * <ol>
 *   <li>magic, int32;
 *   <li>fingerprints of the checkpoint and of the patch, 32 bytes each;
 *   <li>ordinal of the {@link ChecksumFormat}, int32;
 *   <li>number of digests, int32; of each: tensor, int32; length, int32; UTF-8 text;
 *   <li>parts, of each: tensor, int32; first element, int64; bytes of an entry, int32; number of
 *       entries, int32; positions, int32 each; values. Where many elements change, {@link #BITMAP}
 *       is added to the bytes of an entry. A bit for each element, in int64 words from the lowest
 *       bit on, then takes the place of the positions;
 *   <li>−1, int32;
 *   <li>CRC-32C of everything before, int64.
 * </ol>
 *
 * <p>A tensor is its number in the checkpoint. A journal names no file, so that it can change only
 * weights of the checkpoint beside it.
 */
final class JournalFormat {
  /** Name of a journal, which lies beside the weights. */
  static final String NAME = ".threegate-patch-journal";

  static final int MAGIC = 0x54475033; // TGP3
  static final int END = -1;
  static final int LONGEST_DIGEST = 256;

  /** Bytes before the digests, the magic included. */
  static final int HEAD = 3 * Integer.BYTES + 2 * Fingerprint.BYTES;

  /** Bytes of a digest before its text. */
  static final int DIGEST_HEAD = 2 * Integer.BYTES;

  /** Bytes of a part before its positions. */
  static final int PART_HEAD = 3 * Integer.BYTES + Long.BYTES;

  /** Added to the bytes of an entry if a part has a bitmap instead of positions. */
  static final int BITMAP = 1 << 8;

  /** Bytes after the parts. */
  static final int TAIL = Integer.BYTES + Long.BYTES;

  private JournalFormat() {}

  /** Returns the bytes of a bitmap of the elements of a part. */
  static long bitmapBytes(long elements) {
    return (elements + Long.SIZE - 1) / Long.SIZE * Long.BYTES;
  }

  /** Returns the exception for a journal that cannot be read. */
  static InvalidInputException damaged(Path path) {
    return new InvalidInputException(
        path
            + ": is damaged, or was written by another version of threegate; the weights beside it"
            + " may be the old version, the new one, or a mix of both: replace the weights, then"
            + " delete this file");
  }
}
