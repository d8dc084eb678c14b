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
import org.threegate.kernel.ChangedElements;
import org.threegate.run.InvalidInputException;

/**
 * What is to be written into the files of a checkpoint, on the disk before any of it is. It names
 * no file: a part is of a tensor, by its number in the checkpoint whose fingerprint the journal
 * carries, so that nothing but weights of that checkpoint can be written. Whoever can lay a journal
 * beside a model can change these weights anyway.
 *
 * <p>Big-endian but for positions and values: magic, fingerprints of base and patch, checksum, the
 * number of digests, each with tensor, length and text; then parts, each with tensor, first
 * element, width, count, positions, values; −1; and a CRC-32C of all that.
 */
final class PatchJournal implements AutoCloseable {
  private static final int MAGIC = 0x54475033; // TGP3
  private static final int END = -1;
  private static final int LONGEST_DIGEST = 256;
  private static final int DIGEST_HEAD = 2 * Integer.BYTES;
  private static final int PART_HEAD = 3 * Integer.BYTES + Long.BYTES;
  private static final int BEGIN = 3 * Integer.BYTES + 2 * Fingerprint.BYTES;
  private static final int BUFFER = 1 << 16;

  /** A part is of a chunk. */
  static final long MOST = 8L * Change.CHUNK;

  private final Path path;
  private final FileChannel file;
  private final byte[] patch;
  private final ChecksumFormat checksum;
  private final Map<Tensor, String> digests;
  private final List<Part> parts;

  /**
   * What of a chunk is to be written.
   *
   * @param begin number of its first element
   * @param width of an entry: an element, or a byte
   * @param at where its positions are in the journal
   */
  record Part(Tensor tensor, long begin, int width, int count, long at) {
    /** Where it begins in the tensor's file. */
    long offset() {
      return tensor.offset() + begin * Change.width(tensor);
    }

    /** Of the chunk. */
    long bytes() {
      return Math.min(Change.CHUNK, Change.elements(tensor) - begin) * Change.width(tensor);
    }

    private long entryBytes() {
      return (long) count * (Integer.BYTES + width);
    }
  }

  private PatchJournal(
      Path path,
      FileChannel file,
      byte[] patch,
      ChecksumFormat checksum,
      Map<Tensor, String> digests,
      List<Part> parts) {
    this.path = path;
    this.file = file;
    this.patch = patch;
    this.checksum = checksum;
    this.digests = digests;
    this.parts = parts;
  }

  /** Writes one. */
  static final class Writer {
    private final FileChannel out;
    private final CRC32C sum = new CRC32C();
    private final Map<Tensor, Integer> numbers = new HashMap<>();

    /**
     * @param digests of tensors that change, as they will be
     */
    Writer(
        FileChannel out,
        Checkpoint base,
        byte[] patch,
        ChecksumFormat checksum,
        Map<Tensor, String> digests)
        throws IOException {
      this.out = out;
      base.tensors().values().forEach(tensor -> numbers.put(tensor, numbers.size()));
      put(
          ByteBuffer.allocate(BEGIN)
              .putInt(MAGIC)
              .put(Fingerprint.of(base))
              .put(patch)
              .putInt(checksum.ordinal())
              .putInt(digests.size())
              .flip());
      for (Map.Entry<Tensor, String> entry : digests.entrySet()) {
        byte[] digest = entry.getValue().getBytes(StandardCharsets.UTF_8);
        put(
            ByteBuffer.allocate(DIGEST_HEAD + digest.length)
                .putInt(numbers.get(entry.getKey()))
                .putInt(digest.length)
                .put(digest)
                .flip());
      }
    }

    private void put(ByteBuffer bytes) throws IOException {
      sum.update(bytes.duplicate());
      Range.writeFully(out, bytes);
    }

    /** From several threads. */
    synchronized void part(Tensor tensor, long begin, ChangedElements entries) throws IOException {
      put(
          ByteBuffer.allocate(PART_HEAD)
              .putInt(numbers.get(tensor))
              .putLong(begin)
              .putInt(entries.width())
              .putInt(Math.toIntExact(entries.count()))
              .flip());
      put(Range.first(entries.positions(), 4 * entries.count()));
      put(Range.first(entries.values(), entries.width() * entries.count()));
    }

    private void put(Range part) throws IOException {
      try (Range.View view = part.view()) {
        put(view.bytes());
      }
    }

    void end() throws IOException {
      put(ByteBuffer.allocate(Integer.BYTES).putInt(END).flip());
      Range.writeFully(out, ByteBuffer.allocate(Long.BYTES).putLong(sum.getValue()).flip());
    }
  }

  /**
   * Opens one and looks at all of it but the values: nothing has been written when it is refused.
   *
   * @param base whose files it is to be written into
   * @throws InvalidInputException when it is damaged, or of another checkpoint
   */
  static PatchJournal open(Path path, Checkpoint base) throws IOException {
    if (!Files.isRegularFile(path, LinkOption.NOFOLLOW_LINKS)) {
      throw damaged(path);
    }
    FileChannel file = FileChannel.open(path, StandardOpenOption.READ, LinkOption.NOFOLLOW_LINKS);
    try {
      return new Reading(path, file, base).read();
    } catch (BufferUnderflowException e) {
      file.close();
      throw damaged(path);
    } catch (IOException | RuntimeException e) {
      file.close();
      throw e;
    }
  }

  /** Of what patch it is. */
  boolean isOf(byte[] fingerprint) {
    return Arrays.equals(patch, fingerprint);
  }

  /** Digests that tensors have when all is written; none of what others wrote without. */
  Map<Tensor, String> digests() {
    return digests;
  }

  ChecksumFormat checksum() {
    return checksum;
  }

  /** In no order. */
  List<Part> parts() {
    return parts;
  }

  /** Reads the entries of a part. */
  void read(Part part, ChangedElements to) throws IOException {
    long positions = 4L * part.count();
    to.positions().readFrom(file, part.at(), 0, positions);
    to.values().readFrom(file, part.at() + positions, 0, (long) part.width() * part.count());
    to.count(part.count());
  }

  InvalidInputException damaged() {
    return damaged(path);
  }

  static InvalidInputException damaged(Path path) {
    return new InvalidInputException(
        path
            + ": is damaged, or of another version of threegate; the weights beside it are the old version, the new one, or"
            + " between them: write them anew, and remove it");
  }

  @Override
  public void close() throws IOException {
    file.close();
  }

  /** Reads what nobody vouches for: counts are held against the checkpoint before they are used. */
  private static final class Reading {
    private final Path path;
    private final FileChannel file;
    private final Checkpoint base;
    private final List<Tensor> tensors;
    private final long end;
    private long at;

    Reading(Path path, FileChannel file, Checkpoint base) throws IOException {
      this.path = path;
      this.file = file;
      this.base = base;
      this.tensors = List.copyOf(base.tensors().values());
      this.end = file.size() - Integer.BYTES - Long.BYTES;
    }

    PatchJournal read() throws IOException {
      if (end < BEGIN || end > most() || next(Integer.BYTES).getInt() != MAGIC || !isWhole()) {
        throw damaged(path);
      }
      byte[] own = new byte[Fingerprint.BYTES];
      byte[] patch = new byte[Fingerprint.BYTES];
      ByteBuffer begin = next(BEGIN - Integer.BYTES).get(own).get(patch);
      if (!Arrays.equals(own, Fingerprint.of(base))) {
        throw new InvalidInputException(
            path
                + ": is the journal of other files than those of "
                + base.path()
                + "; complete it with the model that it is of, or remove it");
      }
      int checksum = begin.getInt();
      if (checksum < 0 || checksum >= ChecksumFormat.values().length) {
        throw damaged(path);
      }
      Map<Tensor, String> digests = digests(begin.getInt());
      return new PatchJournal(
          path, file, patch, ChecksumFormat.values()[checksum], digests, parts());
    }

    /** Bytes of a journal in which every byte of every tensor changes. */
    private long most() {
      long sum = BEGIN;
      for (Tensor tensor : tensors) {
        long chunks = tensor.bytes() / Change.CHUNK + 1;
        sum += DIGEST_HEAD + LONGEST_DIGEST + chunks * PART_HEAD + tensor.bytes() * 5;
      }
      return sum;
    }

    private ByteBuffer next(int bytes) throws IOException {
      if (bytes > end - at) {
        throw damaged(path);
      }
      ByteBuffer next = ByteBuffer.allocate(bytes);
      Range.readFully(file, at, next);
      at += bytes;
      return next;
    }

    /** It was renamed when it was whole, but disks fail. */
    private boolean isWhole() throws IOException {
      CRC32C sum = new CRC32C();
      ByteBuffer buffer = ByteBuffer.allocateDirect(BUFFER);
      for (long from = 0; from < end + Integer.BYTES; from += BUFFER) {
        buffer.clear().limit((int) Math.min(BUFFER, end + Integer.BYTES - from));
        Range.readFully(file, from, buffer);
        sum.update(buffer);
      }
      ByteBuffer tail = ByteBuffer.allocate(Integer.BYTES + Long.BYTES);
      Range.readFully(file, end, tail);
      return tail.getInt() == END && tail.getLong() == sum.getValue();
    }

    private Tensor tensor(int number) {
      if (number < 0 || number >= tensors.size()) {
        throw damaged(path);
      }
      return tensors.get(number);
    }

    private Map<Tensor, String> digests(int count) throws IOException {
      Map<Tensor, String> digests = new HashMap<>();
      for (int i = 0; i < count; i++) {
        ByteBuffer head = next(DIGEST_HEAD);
        Tensor tensor = tensor(head.getInt());
        int length = head.getInt();
        if (length < 0 || length > LONGEST_DIGEST) {
          throw damaged(path);
        }
        String digest = new String(next(length).array(), StandardCharsets.UTF_8);
        if (digests.put(tensor, digest) != null) {
          throw damaged(path);
        }
      }
      return digests;
    }

    private List<Part> parts() throws IOException {
      List<Part> parts = new ArrayList<>();
      Map<Tensor, Long> last = new HashMap<>();
      while (at < end) {
        ByteBuffer head = next(PART_HEAD);
        Tensor tensor = tensor(head.getInt());
        long begin = head.getLong();
        int width = head.getInt();
        int count = head.getInt();
        long before = Optional.ofNullable(last.put(tensor, begin)).orElse(-1L);
        if (begin <= before
            || begin >= Change.elements(tensor)
            || begin % Change.CHUNK != 0
            || width != 1 && width != Change.width(tensor)
            || count < 0) {
          throw damaged(path);
        }
        Part part = new Part(tensor, begin, width, count, at);
        if ((long) count * width > part.bytes() || part.entryBytes() > end - at) {
          throw damaged(path);
        }
        at += part.entryBytes();
        parts.add(part);
      }
      return parts;
    }
  }
}
