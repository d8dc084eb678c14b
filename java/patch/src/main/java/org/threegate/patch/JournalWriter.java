package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.zip.CRC32C;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;

/** Writes the journal of a patch in place. {@link JournalFormat} has the layout. */
final class JournalWriter {
  private final FileChannel out;
  private final CRC32C sum = new CRC32C();
  private final Map<Tensor, Integer> numbers = new HashMap<>();

  /** Writes what comes before the parts. */
  JournalWriter(FileChannel out, Checkpoint base, WeightPatch patch) throws IOException {
    this.out = out;
    base.tensors().values().forEach(tensor -> numbers.put(tensor, numbers.size()));
    Map<Tensor, String> digests = patch.digests(base);
    put(
        ByteBuffer.allocate(JournalFormat.HEAD)
            .putInt(JournalFormat.MAGIC)
            .put(Fingerprint.of(base))
            .put(patch.fingerprint())
            .putInt(patch.options().checksum().ordinal())
            .putInt(digests.size())
            .flip());
    for (Map.Entry<Tensor, String> entry : digests.entrySet()) {
      byte[] digest = entry.getValue().getBytes(StandardCharsets.UTF_8);
      put(
          ByteBuffer.allocate(JournalFormat.DIGEST_HEAD + digest.length)
              .putInt(numbers.get(entry.getKey()))
              .putInt(digest.length)
              .put(digest)
              .flip());
    }
  }

  private void put(ByteBuffer bytes) throws IOException {
    sum.update(bytes.duplicate());
    FileIo.writeFully(out, bytes);
  }

  private void put(Range part) throws IOException {
    try (Range.View view = part.view()) {
      put(view.bytes());
    }
  }

  /**
   * Appends a part. Several threads may call this.
   *
   * @param begin number of the chunk's first element
   * @param entries changes of the chunk, as new values
   */
  void part(Tensor tensor, long begin, ChangedElements entries) throws IOException {
    int width = entries.width();
    int count = Math.toIntExact(entries.count());
    long elements =
        (long) ChunkLayout.chunkAt(tensor, begin) * ChunkLayout.elementBytes(tensor) / width;
    boolean hasBitmap = JournalFormat.bitmapBytes(elements) < (long) Integer.BYTES * count;
    ByteBuffer head =
        ByteBuffer.allocate(JournalFormat.PART_HEAD)
            .putInt(numbers.get(tensor))
            .putLong(begin)
            .putInt(hasBitmap ? width | JournalFormat.BITMAP : width)
            .putInt(count)
            .flip();
    if (hasBitmap) {
      ByteBuffer bits = bitmap(entries, count, (int) JournalFormat.bitmapBytes(elements));
      synchronized (this) {
        put(head);
        put(bits);
        put(Range.first(entries.values(), (long) width * count));
      }
      return;
    }
    synchronized (this) {
      put(head);
      put(Range.first(entries.positions(), (long) Integer.BYTES * count));
      put(Range.first(entries.values(), (long) width * count));
    }
  }

  private static ByteBuffer bitmap(ChangedElements entries, int count, int bytes) {
    ByteBuffer bits = FileIo.littleEndian(bytes);
    try (Range.View view = Range.first(entries.positions(), (long) Integer.BYTES * count).view()) {
      ByteBuffer positions = view.bytes();
      int at = 0;
      long word = 0;
      while (positions.hasRemaining()) {
        int position = positions.getInt();
        if (position / Long.SIZE != at) {
          bits.putLong(at * Long.BYTES, word);
          at = position / Long.SIZE;
          word = 0;
        }
        word |= 1L << position; // of which the lowest six bits count
      }
      bits.putLong(at * Long.BYTES, word);
    }
    return bits;
  }

  /** Writes what comes after the parts. */
  void end() throws IOException {
    put(ByteBuffer.allocate(Integer.BYTES).putInt(JournalFormat.END).flip());
    FileIo.writeFully(out, ByteBuffer.allocate(Long.BYTES).putLong(sum.getValue()).flip());
  }
}
