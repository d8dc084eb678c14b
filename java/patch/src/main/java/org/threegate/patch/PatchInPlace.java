package org.threegate.patch;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.zip.CRC32C;
import java.util.zip.CheckedInputStream;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.AtomicFiles;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/**
 * Patches a checkpoint where it lies. What is to be written goes to a journal first, which is
 * synced and renamed, and only then into the files: whenever that is interrupted, before the rename
 * the files are the old version, after it {@link #recover} makes them the new one.
 *
 * <pre>{@code
 * PatchInPlace.recover(context, base);
 * PatchInPlace.apply(context, base, Path.of("weight_v000002"), WeightPatch.Progress.NONE);
 * }</pre>
 */
public final class PatchInPlace {
  /** What lies beside the weights while they are written. */
  public static final String JOURNAL = ".threegate-patch-journal";

  private static final int MAGIC = 0x54475032; // TGP2
  private static final int END = -1;
  private static final long MOST = 8L * Change.CHUNK; // bytes of a chunk
  private static final long BLOCK = 4096; // of which files are written

  private PatchInPlace() {}

  private static Path journal(Path model) {
    Path directory = Files.isDirectory(model) ? model : model.toAbsolutePath().getParent();
    return directory.resolve(JOURNAL);
  }

  /**
   * Patches.
   *
   * @param model a directory, or a file
   * @throws InvalidInputException when the patch is damaged or of another base; then nothing is
   *     written
   */
  public static void apply(Context context, Path model, Path patch, WeightPatch.Progress progress)
      throws IOException {
    apply(context, model, patch, WeightPatch.Digests.REQUIRED, progress);
  }

  /** The same of a patch that may be without digests. */
  public static void apply(
      Context context,
      Path model,
      Path patch,
      WeightPatch.Digests digests,
      WeightPatch.Progress progress)
      throws IOException {
    prepare(context, model, patch, digests, progress);
    recover(context, model);
  }

  /** Writes the journal, from which {@link #recover} does the rest. */
  static void prepare(
      Context context,
      Path model,
      Path patch,
      WeightPatch.Digests digests,
      WeightPatch.Progress progress)
      throws IOException {
    Path journal = journal(model);
    if (Files.exists(journal)) {
      throw new InvalidInputException(journal + ": an interrupted patch has to be completed first");
    }
    try (Checkpoint base = Checkpoint.open(context, model);
        WeightPatch opened = WeightPatch.open(context, patch, digests)) {
      // Its digests are compared before the journal has its name.
      AtomicFiles.write(journal, out -> write(context, base, opened, progress, out));
    }
    sync(journal.getParent());
  }

  /** What the rename put into the directory has to be on the disk, too. */
  private static void sync(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /** Writes records with a checksum behind them. */
  private static final class Journal {
    private final FileChannel out;
    private final CRC32C checksum = new CRC32C();

    Journal(FileChannel out) {
      this.out = out;
    }

    void put(ByteBuffer bytes) throws IOException {
      checksum.update(bytes.duplicate());
      Range.writeFully(out, bytes);
    }

    /** What of a chunk is to be written; from several threads. */
    synchronized void part(Tensor tensor, long begin, int bytes, ChangedElements entries)
        throws IOException {
      byte[] name = tensor.file().path().getFileName().toString().getBytes(StandardCharsets.UTF_8);
      put(
          ByteBuffer.allocate(4 * Integer.BYTES + name.length + 2 * Long.BYTES)
              .putInt(name.length)
              .put(name)
              .putLong(tensor.offset() + begin * Change.width(tensor))
              .putLong(bytes)
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
      Range.writeFully(out, ByteBuffer.allocate(Long.BYTES).putLong(checksum.getValue()).flip());
    }
  }

  private static void write(
      Context context,
      Checkpoint base,
      WeightPatch patch,
      WeightPatch.Progress progress,
      FileChannel out)
      throws IOException {
    Journal journal = new Journal(out);
    journal.put(ByteBuffer.allocate(Integer.BYTES).putInt(MAGIC).flip());
    patch.forEachChunk(
        base,
        progress,
        (own, tensor) ->
            (begin, entries, patched) -> {
              if (entries.count() > 0) {
                newValues(entries, patched);
                journal.part(tensor, begin, patched.bytes(), entries);
              }
            });
    journal.end();
  }

  /** Values become what the patched chunk has there. */
  private static void newValues(ChangedElements entries, Range patched) {
    if (entries.form() == ChangedElements.Form.OVERWRITE) {
      return;
    }
    int count = Math.toIntExact(entries.count());
    try (Range.View from = patched.view();
        Range.View positions = Range.first(entries.positions(), 4L * count).view();
        Range.View values =
            Range.first(entries.values(), (long) entries.width() * count).output()) {
      newValues(entries.width(), from.bytes(), positions.bytes(), values.bytes());
    }
  }

  private static void newValues(int width, ByteBuffer from, ByteBuffer positions, ByteBuffer to) {
    while (to.hasRemaining()) {
      int at = positions.getInt() * width;
      switch (width) {
        case 1 -> to.put(from.get(at));
        case 2 -> to.putShort(from.getShort(at));
        case 4 -> to.putInt(from.getInt(at));
        default -> to.putLong(from.getLong(at));
      }
    }
  }

  /** A chunk of a file, and what of it is to be written. */
  private record Part(String file, long offset, long bytes, int width, int count) {}

  /**
   * Completes what was interrupted.
   *
   * @return whether there was something
   * @throws InvalidInputException when the journal is damaged, or of other files
   */
  public static boolean recover(Context context, Path model) throws IOException {
    Path journal = journal(model);
    if (!Files.exists(journal)) {
      return false;
    }
    check(journal);
    try (DataInputStream in = open(journal);
        Targets targets = new Targets(context, journal)) {
      in.readInt();
      for (int length = in.readInt(); length != END; length = in.readInt()) {
        targets.write(in, part(in, length, journal));
      }
      targets.sync();
    }
    Files.delete(journal);
    sync(journal.getParent());
    return true;
  }

  /** The files that are written. */
  private static final class Targets implements AutoCloseable {
    private final Context context;
    private final Path journal;
    private final NativeBuffer chunk;
    private final Map<String, FileChannel> files = new LinkedHashMap<>();
    private final Map<Integer, ChangedElements> rooms = new LinkedHashMap<>();

    Targets(Context context, Path journal) {
      this.context = context;
      this.journal = journal;
      this.chunk = context.allocate(MOST);
    }

    private FileChannel file(String name) throws IOException {
      FileChannel file = files.get(name);
      if (file == null) {
        file =
            FileChannel.open(
                journal.resolveSibling(name), StandardOpenOption.READ, StandardOpenOption.WRITE);
        files.put(name, file);
      }
      return file;
    }

    void write(DataInputStream in, Part part) throws IOException {
      ChangedElements changed =
          rooms.computeIfAbsent(
              part.width(),
              width ->
                  ChangedElements.allocate(
                      context, MOST / width, width, ChangedElements.Form.OVERWRITE));
      fill(in, changed.positions(), 4L * part.count());
      fill(in, changed.values(), (long) part.width() * part.count());
      changed.count(part.count());
      FileChannel file = file(part.file());
      if (file.size() < part.offset() + part.bytes()) {
        throw new InvalidInputException(
            part.file() + ": is shorter than the journal of its patch says");
      }
      // Read, changed, written back: no page is lost under a mapping when the disk fails.
      Range all = Range.first(chunk, part.bytes());
      chunk.readFrom(file, part.offset(), 0, part.bytes());
      changed.apply(all.elements(part.width()));
      writeBlocks(file, part, changed, chunk);
    }

    /** Blocks of the file in which something changed, those side by side at once. */
    private static void writeBlocks(
        FileChannel file, Part part, ChangedElements changed, NativeBuffer bytes)
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
        bytes.writeTo(file, from, from - part.offset(), to - from);
      }
    }

    private static long block(Part part, int position) {
      return (part.offset() + Integer.toUnsignedLong(position) * part.width()) / BLOCK * BLOCK;
    }

    void sync() throws IOException {
      for (FileChannel file : files.values()) {
        file.force(true);
      }
    }

    @Override
    public void close() throws IOException {
      chunk.close();
      rooms.values().forEach(ChangedElements::close);
      for (FileChannel file : files.values()) {
        file.close();
      }
    }
  }

  private static DataInputStream open(Path journal) throws IOException {
    return new DataInputStream(new BufferedInputStream(Files.newInputStream(journal)));
  }

  private static Part part(DataInputStream in, int length, Path journal) throws IOException {
    byte[] name = new byte[length];
    in.readFully(name);
    Part part =
        new Part(
            new String(name, StandardCharsets.UTF_8),
            in.readLong(),
            in.readLong(),
            in.readInt(),
            in.readInt());
    if (part.bytes() > MOST
        || part.width() < 1
        || part.width() > Long.BYTES
        || (long) part.count() * part.width() > part.bytes()) {
      throw new InvalidInputException(journal + ": is no journal of a patch");
    }
    return part;
  }

  private static void fill(DataInputStream in, NativeBuffer to, long bytes) throws IOException {
    try {
      to.readFrom(Channels.newChannel(in), 0, bytes);
    } catch (EOFException e) {
      throw new IOException("the journal of a patch ends early", e);
    }
  }

  /** Its checksum: it was renamed when it was whole, but disks fail. */
  private static void check(Path journal) throws IOException {
    long length = Files.size(journal);
    CRC32C checksum = new CRC32C();
    try (CheckedInputStream checked =
            new CheckedInputStream(
                new BufferedInputStream(Files.newInputStream(journal)), checksum);
        DataInputStream in = new DataInputStream(checked)) {
      boolean right = length >= Integer.BYTES + Integer.BYTES + Long.BYTES && in.readInt() == MAGIC;
      if (right) {
        in.skipNBytes(length - Integer.BYTES - Long.BYTES);
        long sum = checksum.getValue();
        right = in.readLong() == sum;
      }
      if (!right) {
        throw new InvalidInputException(
            journal
                + ": is damaged; the weights beside it are the old version, the new one, or between them: write them anew");
      }
    }
  }
}
