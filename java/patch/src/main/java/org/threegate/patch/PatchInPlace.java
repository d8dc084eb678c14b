package org.threegate.patch;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.CRC32C;
import java.util.zip.CheckedInputStream;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.AtomicFiles;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.InvalidInputException;
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

  private static final int MAGIC = 0x54475031; // TGP1
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
    prepare(context, model, patch, progress);
    recover(context, model);
  }

  /** Writes the journal, from which {@link #recover} does the rest. */
  static void prepare(Context context, Path model, Path patch, WeightPatch.Progress progress)
      throws IOException {
    Path journal = journal(model);
    if (Files.exists(journal)) {
      throw new InvalidInputException(journal + ": an interrupted patch has to be completed first");
    }
    try (Checkpoint base = Checkpoint.open(context, model);
        WeightPatch opened = WeightPatch.open(context, patch)) {
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
    try (ChangedElements changed = room(context)) {
      patch.forEachChunk(
          base,
          progress,
          (tensor, begin, old, patched) -> {
            changed.extract(old.elements(1), patched.elements(1));
            int count = (int) changed.count();
            if (count == 0) {
              return;
            }
            byte[] name =
                tensor.file().path().getFileName().toString().getBytes(StandardCharsets.UTF_8);
            journal.put(
                ByteBuffer.allocate(Integer.BYTES + name.length + 2 * Long.BYTES + Integer.BYTES)
                    .putInt(name.length)
                    .put(name)
                    .putLong(old.offset())
                    .putLong(old.bytes())
                    .putInt(count)
                    .flip());
            journal.put(Range.first(changed.positions(), 4L * count).slice());
            journal.put(Range.first(changed.values(), count).slice());
          });
    }
    journal.end();
  }

  private static ChangedElements room(Context context) {
    return ChangedElements.allocate(context, MOST, 1, ChangedElements.Form.OVERWRITE);
  }

  /** A chunk of a file, and what of it is to be written. */
  private record Part(String file, long offset, long bytes, int count) {}

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
    List<FileChannel> opened = new ArrayList<>();
    try (DataInputStream in = open(journal);
        ChangedElements changed = room(context);
        NativeBuffer chunk = context.allocate(MOST)) {
      in.readInt();
      String current = "";
      for (int length = in.readInt(); length != END; length = in.readInt()) {
        Part part = part(in, length, journal);
        fill(in, changed.positions(), 4L * part.count());
        fill(in, changed.values(), part.count());
        changed.count(part.count());
        if (!part.file().equals(current)) {
          current = part.file();
          opened.add(
              FileChannel.open(
                  journal.resolveSibling(current),
                  StandardOpenOption.READ,
                  StandardOpenOption.WRITE));
        }
        write(opened.get(opened.size() - 1), part, changed, chunk);
      }
      for (FileChannel file : opened) {
        file.force(true);
      }
    } finally {
      for (FileChannel file : opened) {
        file.close();
      }
    }
    Files.delete(journal);
    sync(journal.getParent());
    return true;
  }

  private static void write(
      FileChannel file, Part part, ChangedElements changed, NativeBuffer chunk) throws IOException {
    // Read, changed, written back: no page is lost under a mapping when the disk fails.
    Range all = Range.first(chunk, part.bytes());
    if (file.size() < part.offset() + part.bytes()) {
      throw new InvalidInputException(
          part.file() + ": is shorter than the journal of its patch says");
    }
    Range.readFully(file, part.offset(), all.slice());
    changed.apply(all.elements(1));
    // Blocks in which something changed, those side by side at once.
    ByteBuffer bytes = all.slice();
    for (long i = 0; i < changed.count(); ) {
      long begin = Integer.toUnsignedLong(changed.positions().getInt(4 * i)) / BLOCK * BLOCK;
      long end = begin + BLOCK;
      for (i++; i < changed.count(); i++) {
        long at = Integer.toUnsignedLong(changed.positions().getInt(4 * i));
        if (at >= end + BLOCK) {
          break;
        }
        end = Math.max(end, at / BLOCK * BLOCK + BLOCK);
      }
      bytes.limit((int) Math.min(end, part.bytes())).position((int) begin);
      for (long at = part.offset() + begin; bytes.hasRemaining(); ) {
        at += file.write(bytes, at);
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
            new String(name, StandardCharsets.UTF_8), in.readLong(), in.readLong(), in.readInt());
    if (part.bytes() > MOST || part.count() > part.bytes()) {
      throw new InvalidInputException(journal + ": is no journal of a patch");
    }
    return part;
  }

  private static void fill(DataInputStream in, NativeBuffer to, long bytes) throws IOException {
    ByteBuffer target = to.slice(0, Math.toIntExact(bytes)).order(ByteOrder.LITTLE_ENDIAN);
    var channel = Channels.newChannel(in);
    while (target.hasRemaining()) {
      if (channel.read(target) < 0) {
        throw new IOException("the journal of a patch ends early");
      }
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
