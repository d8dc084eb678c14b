package org.threegate.patch;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Workers;

/** Writes what a journal says into the files of a checkpoint. */
final class JournalReplay implements AutoCloseable {
  private static final long BLOCK = 4096; // bytes of the blocks that are written

  private final Context context;
  private final PatchJournal journal;
  private final Map<Path, FileChannel> files = new LinkedHashMap<>();
  private final Map<Context, Scratch> scratch = new HashMap<>();

  /** The memory of one thread. */
  private static final class Scratch implements AutoCloseable {
    private final Context own;
    private final NativeBuffer chunk;
    private final Map<Integer, ChangedElements> entries = new HashMap<>();

    Scratch(Context own) {
      this.own = own;
      this.chunk = own.allocate(JournalPart.MOST);
    }

    ChangedElements entries(int width) {
      return entries.computeIfAbsent(
          width,
          bytes ->
              ChangedElements.allocate(
                  own, JournalPart.MOST / bytes, bytes, ChangedElements.Form.OVERWRITE));
    }

    @Override
    public void close() {
      chunk.close();
      entries.values().forEach(ChangedElements::close);
    }
  }

  JournalReplay(Context context, PatchJournal journal) {
    this.context = context;
    this.journal = journal;
  }

  private synchronized Scratch scratch(Context own) {
    return scratch.computeIfAbsent(own, Scratch::new);
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
    Scratch own = scratch(context);
    try (ChecksumFormat.Checksum sum = journal.checksum().begin(context)) {
      for (long begin = 0; begin < all; begin += ChunkLayout.CHUNK) {
        long count = ChunkLayout.chunkAt(tensor, begin);
        Range now = read(own, tensor, begin, count * ChunkLayout.elementBytes(tensor));
        if (parts.containsKey(begin)) {
          apply(own, parts.get(begin), now);
        }
        sum.update(now);
      }
      return sum.hex();
    }
  }

  /** Writes all parts, several at a time, and syncs the files. */
  void write() throws IOException {
    List<JournalPart> parts = journal.parts();
    if (parts.isEmpty()) {
      return;
    }
    try (Workers workers =
        Workers.onCpu(Math.min(context.threads(), parts.size()), "threegate-patch")) {
      workers.forEach(parts, (thread, part) -> write(scratch(thread), part));
    }
    for (FileChannel file : files.values()) {
      file.force(true);
    }
  }

  private void write(Scratch own, JournalPart part) throws IOException {
    // Writing through a mapping would lose pages without an error when the disk fails.
    Range all = read(own, part.tensor(), part.begin(), part.bytes());
    writeBlocks(part, all, apply(own, part, all));
  }

  private synchronized FileChannel file(Tensor tensor) throws IOException {
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
  private Range read(Scratch own, Tensor tensor, long begin, long bytes) throws IOException {
    long position = tensor.offset() + begin * ChunkLayout.elementBytes(tensor);
    own.chunk.readFrom(file(tensor), position, 0, bytes);
    return Range.first(own.chunk, bytes);
  }

  private ChangedElements apply(Scratch own, JournalPart part, Range all) throws IOException {
    ChangedElements changed = own.entries(part.width());
    journal.read(part, changed);
    try {
      changed.apply(all.elements(part.width()));
    } catch (KernelException e) {
      throw e.status() == Status.INVALID_ARGUMENT ? journal.damaged() : e;
    }
    return changed;
  }

  /** Writes the blocks of the file in which something changed; adjacent ones in one call. */
  private void writeBlocks(JournalPart part, Range all, ChangedElements changed)
      throws IOException {
    FileChannel file = file(part.tensor());
    int[] positions = changed.positions().getInts(0, changed.count());
    for (int i = 0; i < positions.length; ) {
      long begin = block(part, positions[i]);
      long end = begin + BLOCK;
      for (i++; i < positions.length && block(part, positions[i]) <= end; i++) {
        end = block(part, positions[i]) + BLOCK;
      }
      long from = Math.max(begin, part.offset());
      long to = Math.min(end, part.offset() + part.bytes());
      all.buffer().writeTo(file, from, from - part.offset(), to - from);
    }
  }

  /** Returns the position in the file of the block with an entry. */
  private static long block(JournalPart part, int position) {
    return (part.offset() + Integer.toUnsignedLong(position) * part.width()) / BLOCK * BLOCK;
  }

  @Override
  public void close() throws IOException {
    scratch.values().forEach(Scratch::close);
    for (FileChannel file : files.values()) {
      file.close();
    }
  }
}
