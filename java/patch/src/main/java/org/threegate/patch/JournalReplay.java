package org.threegate.patch;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.InvalidInputException;

/** Writes what a journal says into the files of a checkpoint. */
final class JournalReplay implements AutoCloseable {
  private static final long BLOCK = 4096; // bytes of the blocks that are written

  private final Context context;
  private final PatchJournal journal;
  private final NativeBuffer chunk;
  private final Map<Path, FileChannel> files = new LinkedHashMap<>();
  private final Map<Integer, ChangedElements> entries = new LinkedHashMap<>();

  JournalReplay(Context context, PatchJournal journal) {
    this.context = context;
    this.journal = journal;
    this.chunk = context.allocate(JournalPart.MOST);
  }

  /**
   * Checks in memory that every tensor gets its digest, whatever part of it has been written
   * already.
   *
   * @throws InvalidInputException if the files are not those that the journal was made for
   */
  void requireDigests() throws IOException {
    Map<Tensor, Map<Long, JournalPart>> parts = new HashMap<>();
    for (JournalPart part : journal.parts()) {
      parts.computeIfAbsent(part.tensor(), own -> new HashMap<>()).put(part.begin(), part);
    }
    for (Map.Entry<Tensor, String> entry : journal.digests().entrySet()) {
      Tensor tensor = entry.getKey();
      if (!digest(tensor, parts.getOrDefault(tensor, Map.of())).equals(entry.getValue())) {
        throw new InvalidInputException(
            tensor.file().path()
                + ": tensor \""
                + tensor.name()
                + "\" is not the one that the journal beside it was made for; replace the weights,"
                + " then delete "
                + JournalFormat.NAME);
      }
    }
  }

  private String digest(Tensor tensor, Map<Long, JournalPart> parts) throws IOException {
    long all = ChunkLayout.elements(tensor);
    try (ChecksumFormat.Checksum sum = journal.checksum().begin(context)) {
      for (long begin = 0; begin < all; begin += ChunkLayout.CHUNK) {
        long count = ChunkLayout.chunkAt(tensor, begin);
        Range now = read(tensor, begin, count * ChunkLayout.elementBytes(tensor));
        if (parts.containsKey(begin)) {
          apply(parts.get(begin), now);
        }
        sum.update(now);
      }
      return sum.hex();
    }
  }

  /** Writes all parts and syncs the files. */
  void write() throws IOException {
    for (JournalPart part : journal.parts()) {
      // Writing through a mapping would lose pages without an error when the disk fails.
      Range all = read(part.tensor(), part.begin(), part.bytes());
      ChangedElements changed = apply(part, all);
      writeBlocks(file(part.tensor()), part, changed);
    }
    for (FileChannel file : files.values()) {
      file.force(true);
    }
  }

  private FileChannel file(Tensor tensor) throws IOException {
    Path path = tensor.file().path();
    FileChannel file = files.get(path);
    if (file == null) {
      file =
          FileChannel.open(
              path, StandardOpenOption.READ, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
      files.put(path, file);
      if (file.size() != tensor.file().bytes()) {
        throw new InvalidInputException(
            path + ": changed while it was patched; try again when no other process writes it");
      }
    }
    return file;
  }

  /** Reads a chunk as it is in its file. */
  private Range read(Tensor tensor, long begin, long bytes) throws IOException {
    long position = tensor.offset() + begin * ChunkLayout.elementBytes(tensor);
    chunk.readFrom(file(tensor), position, 0, bytes);
    return Range.first(chunk, bytes);
  }

  private ChangedElements apply(JournalPart part, Range all) throws IOException {
    ChangedElements changed =
        entries.computeIfAbsent(
            part.width(),
            width ->
                ChangedElements.allocate(
                    context, JournalPart.MOST / width, width, ChangedElements.Form.OVERWRITE));
    journal.read(part, changed);
    try {
      changed.apply(all.elements(part.width()));
    } catch (KernelException e) {
      throw e.status() == Status.INVALID_ARGUMENT ? journal.damaged() : e;
    }
    return changed;
  }

  /** Writes the blocks of the file in which something changed; adjacent ones in one call. */
  private void writeBlocks(FileChannel file, JournalPart part, ChangedElements changed)
      throws IOException {
    int[] positions = changed.positions().getInts(0, changed.count());
    for (int i = 0; i < positions.length; ) {
      long begin = block(part, positions[i]);
      long end = begin + BLOCK;
      for (i++; i < positions.length && block(part, positions[i]) <= end; i++) {
        end = block(part, positions[i]) + BLOCK;
      }
      long from = Math.max(begin, part.offset());
      long to = Math.min(end, part.offset() + part.bytes());
      chunk.writeTo(file, from, from - part.offset(), to - from);
    }
  }

  /** Returns the position in the file of the block with an entry. */
  private static long block(JournalPart part, int position) {
    return (part.offset() + Integer.toUnsignedLong(position) * part.width()) / BLOCK * BLOCK;
  }

  @Override
  public void close() throws IOException {
    chunk.close();
    entries.values().forEach(ChangedElements::close);
    for (FileChannel file : files.values()) {
      file.close();
    }
  }
}
