package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.run.InvalidInputException;

/**
 * An open journal: what is to be written into the files of a checkpoint. Whoever can place a
 * journal beside a model can change these weights anyway; with a journal nothing else can be
 * changed.
 */
final class PatchJournal implements AutoCloseable {
  private final Path path;
  private final FileChannel file;
  private final byte[] patch;
  private final ChecksumFormat checksum;
  private final Map<Tensor, String> digests;
  private final List<JournalPart> parts;

  /**
   * Creates a journal of what was read.
   *
   * @param contents what the journal says, checked against its checkpoint
   */
  PatchJournal(Path path, FileChannel file, Contents contents) {
    this.path = path;
    this.file = file;
    this.patch = contents.patch();
    this.checksum = contents.checksum();
    this.digests = contents.digests();
    this.parts = contents.parts();
  }

  /**
   * What a journal says, without the values.
   *
   * @param patch fingerprint of the patch
   * @param digests hexadecimal digests of tensors after the patch
   */
  record Contents(
      byte[] patch,
      ChecksumFormat checksum,
      Map<Tensor, String> digests,
      List<JournalPart> parts) {}

  /** Returns whether the journal is of a patch with a fingerprint. */
  boolean isOf(byte[] fingerprint) {
    return Arrays.equals(patch, fingerprint);
  }

  /**
   * Returns the hexadecimal digests of tensors after the patch. It is empty for a patch without
   * digests.
   */
  Map<Tensor, String> digests() {
    return digests;
  }

  /** Returns the algorithm of the digests. */
  ChecksumFormat checksum() {
    return checksum;
  }

  /** Returns the parts. Those of one tensor ascend; tensors have no order. */
  List<JournalPart> parts() {
    return parts;
  }

  /** Reads the entries of a part. Several threads may call this. */
  void read(JournalPart part, ChangedElements to) throws IOException {
    if (part.hasBitmap()) {
      readBitmap(part, to);
    } else {
      to.positions().readFrom(file, part.at(), 0, part.placeBytes());
    }
    long values = (long) part.width() * part.count();
    to.values().readFrom(file, part.at() + part.placeBytes(), 0, values);
    to.count(part.count());
  }

  /** Reads a bitmap as positions. */
  private void readBitmap(JournalPart part, ChangedElements to) throws IOException {
    ByteBuffer bits = FileIo.littleEndian(Math.toIntExact(part.placeBytes()));
    FileIo.readFully(file, part.at(), bits);
    long places = (long) Integer.BYTES * part.count();
    try (Range.View view = Range.first(to.positions(), places).output()) {
      ByteBuffer positions = view.bytes();
      for (int at = 0; bits.hasRemaining(); at += Long.SIZE) {
        long word = bits.getLong();
        if (positions.remaining() < Integer.BYTES * Long.bitCount(word)) {
          throw damaged();
        }
        for (; word != 0; word &= word - 1) {
          positions.putInt(at + Long.numberOfTrailingZeros(word));
        }
      }
      if (positions.hasRemaining()) {
        throw damaged();
      }
    }
  }

  /** Returns the exception for a damaged journal. */
  InvalidInputException damaged() {
    return JournalFormat.damaged(path);
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
