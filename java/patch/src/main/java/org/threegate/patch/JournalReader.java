package org.threegate.patch;

import java.io.IOException;
import java.nio.BufferUnderflowException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.zip.CRC32C;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.run.InvalidInputException;

/**
 * Opens the journal of a patch in place. The journal is untrusted: its numbers are compared with
 * the checkpoint before they are used. {@link JournalFormat} has the layout.
 */
final class JournalReader {
  private static final int BUFFER = 1 << 16;

  private final Path path;
  private final FileChannel file;
  private final Checkpoint base;
  private final List<Tensor> tensors;
  private final long end;
  private long at;

  private JournalReader(Path path, FileChannel file, Checkpoint base) throws IOException {
    this.path = path;
    this.file = file;
    this.base = base;
    this.tensors = List.copyOf(base.tensors().values());
    this.end = file.size() - JournalFormat.TAIL;
  }

  /**
   * Opens a journal and checks all of it but the values.
   *
   * @param base checkpoint whose files are to be changed
   * @throws InvalidInputException if the journal is damaged, or belongs to another checkpoint
   */
  static PatchJournal open(Path path, Checkpoint base) throws IOException {
    if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
      throw JournalFormat.damaged(path);
    }
    FileChannel file = FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
    try {
      return new PatchJournal(path, file, new JournalReader(path, file, base).read());
    } catch (BufferUnderflowException e) {
      file.close();
      throw JournalFormat.damaged(path);
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  private PatchJournal.Contents read() throws IOException {
    if (end < JournalFormat.HEAD
        || end > most()
        || next(Integer.BYTES).getInt() != JournalFormat.MAGIC
        || !isWhole()) {
      throw JournalFormat.damaged(path);
    }
    byte[] own = new byte[Fingerprint.BYTES];
    byte[] patch = new byte[Fingerprint.BYTES];
    ByteBuffer begin = next(JournalFormat.HEAD - Integer.BYTES).get(own).get(patch);
    if (!Arrays.equals(own, Fingerprint.of(base))) {
      throw new InvalidInputException(
          path
              + ": belongs to other files than those of "
              + base.path()
              + "; complete it with its own model, or delete it");
    }
    int checksum = begin.getInt();
    if (checksum < 0 || checksum >= ChecksumFormat.values().length) {
      throw JournalFormat.damaged(path);
    }
    Map<Tensor, String> digests = digests(begin.getInt());
    return new PatchJournal.Contents(patch, ChecksumFormat.values()[checksum], digests, parts());
  }

  /** Returns the length of a journal in which every byte of every tensor changes. */
  private long most() {
    long sum = JournalFormat.HEAD;
    for (Tensor tensor : tensors) {
      long chunks = tensor.bytes() / ChunkLayout.CHUNK + 1;
      sum += JournalFormat.DIGEST_HEAD + JournalFormat.LONGEST_DIGEST;
      sum += chunks * JournalFormat.PART_HEAD + tensor.bytes() * (Integer.BYTES + 1);
    }
    return sum;
  }

  private ByteBuffer next(int bytes) throws IOException {
    if (bytes > end - at) {
      throw JournalFormat.damaged(path);
    }
    ByteBuffer next = ByteBuffer.allocate(bytes);
    FileIo.readFully(file, at, next);
    at += bytes;
    return next;
  }

  /** Returns whether the checksum is right. A journal was complete when it got its name. */
  private boolean isWhole() throws IOException {
    CRC32C sum = new CRC32C();
    ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER);
    for (long from = 0; from < end + Integer.BYTES; from += BUFFER) {
      buffer.clear().limit((int) Math.min(BUFFER, end + Integer.BYTES - from));
      FileIo.readFully(file, from, buffer);
      sum.update(buffer);
    }
    ByteBuffer tail = ByteBuffer.allocate(JournalFormat.TAIL);
    FileIo.readFully(file, end, tail);
    return tail.getInt() == JournalFormat.END && tail.getLong() == sum.getValue();
  }

  private Tensor tensor(int number) {
    if (number < 0 || number >= tensors.size()) {
      throw JournalFormat.damaged(path);
    }
    return tensors.get(number);
  }

  private Map<Tensor, String> digests(int count) throws IOException {
    Map<Tensor, String> digests = new HashMap<>();
    for (int i = 0; i < count; i++) {
      ByteBuffer head = next(JournalFormat.DIGEST_HEAD);
      Tensor tensor = tensor(head.getInt());
      int length = head.getInt();
      if (length < 0 || length > JournalFormat.LONGEST_DIGEST) {
        throw JournalFormat.damaged(path);
      }
      String digest = new String(next(length).array(), StandardCharsets.UTF_8);
      if (digests.put(tensor, digest) != null) {
        throw JournalFormat.damaged(path);
      }
    }
    return digests;
  }

  private List<JournalPart> parts() throws IOException {
    List<JournalPart> parts = new ArrayList<>();
    Map<Tensor, Long> last = new HashMap<>();
    while (at < end) {
      ByteBuffer head = next(JournalFormat.PART_HEAD);
      Tensor tensor = tensor(head.getInt());
      long begin = head.getLong();
      int form = head.getInt();
      int width = form & ~JournalFormat.BITMAP;
      int count = head.getInt();
      long before = Optional.ofNullable(last.put(tensor, begin)).orElse(-1L);
      if (begin <= before
          || begin >= ChunkLayout.elements(tensor)
          || begin % ChunkLayout.CHUNK != 0
          || width != 1 && width != ChunkLayout.elementBytes(tensor)
          || count < 0) {
        throw JournalFormat.damaged(path);
      }
      JournalPart part = new JournalPart(tensor, begin, width, form != width, count, at);
      if ((long) count * width > part.bytes() || part.entryBytes() > end - at) {
        throw JournalFormat.damaged(path);
      }
      at += part.entryBytes();
      parts.add(part);
    }
    return parts;
  }
}
