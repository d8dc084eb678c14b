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
      opened.verify(base, progress);
      AtomicFiles.write(journal, out -> write(context, base, opened, out));
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
      Bytes.writeFully(out, bytes);
    }

    void end() throws IOException {
      put(ByteBuffer.allocate(Integer.BYTES).putInt(END).flip());
      Bytes.writeFully(out, ByteBuffer.allocate(Long.BYTES).putLong(checksum.getValue()).flip());
    }
  }

  private static void write(Context context, Checkpoint base, WeightPatch patch, FileChannel out)
      throws IOException {
    Journal journal = new Journal(out);
    journal.put(ByteBuffer.allocate(Integer.BYTES).putInt(MAGIC).flip());
    try (ChangedElements changed =
            ChangedElements.allocate(
                context, 8L * Change.CHUNK, 1, ChangedElements.Form.OVERWRITE);
        NativeBuffer chunk = context.allocate(8L * Change.CHUNK)) {
      patch.forEachChunk(
          base,
          (tensor, offset, patched) -> {
            int bytes = patched.remaining();
            chunk.slice(0, bytes).put(patched);
            changed.extract(
                new ChangedElements.Elements(tensor.file().buffer(), offset, bytes, 1),
                new ChangedElements.Elements(chunk, 0, bytes, 1));
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
                    .putLong(offset)
                    .putLong(bytes)
                    .putInt(count)
                    .flip());
            journal.put(changed.positions().slice(0, Math.toIntExact(4L * count)));
            journal.put(changed.values().slice(0, count));
          });
    }
    journal.end();
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
        ChangedElements changed =
            ChangedElements.allocate(
                context, 8L * Change.CHUNK, 1, ChangedElements.Form.OVERWRITE)) {
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
        write(context, opened.get(opened.size() - 1), part, changed);
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

  private static void write(Context context, FileChannel file, Part part, ChangedElements changed)
      throws IOException {
    // Read, changed, written back: no page is lost under a mapping when the disk fails.
    try (NativeBuffer chunk = context.allocate(part.bytes())) {
      ByteBuffer bytes = chunk.slice(0, (int) part.bytes());
      for (long at = part.offset(); bytes.hasRemaining(); ) {
        int read = file.read(bytes, at);
        if (read < 0) {
          throw new InvalidInputException(
              part.file() + ": is shorter than the journal of its patch says");
        }
        at += read;
      }
      changed.apply(new ChangedElements.Elements(chunk, 0, part.bytes(), 1));
      bytes.flip();
      for (long at = part.offset(); bytes.hasRemaining(); ) {
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
    if (part.bytes() > 8L * Change.CHUNK || part.count() > part.bytes()) {
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
