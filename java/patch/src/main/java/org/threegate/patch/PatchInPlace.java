package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.Tensor;
import org.threegate.file.AtomicFiles;
import org.threegate.file.OutputLock;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Patches a checkpoint where it lies. What is to be written goes to a journal first, which is
 * synced and renamed, and only then into the files: whenever that is interrupted, before the rename
 * the files are the old version, after it {@link #recover} makes them the new one. One process at a
 * time does that.
 *
 * <p>Files that are links, or have other names, are refused: other models may have the same bytes.
 * To replace a link by a file of its own would take the room of all weights, which {@code --out}
 * takes when it is asked for.
 *
 * <pre>{@code
 * PatchInPlace.recover(context, base);
 * PatchInPlace.apply(context, base, Path.of("weight_v000002"), Progress.NONE);
 * }</pre>
 */
public final class PatchInPlace {
  /** What lies beside the weights while they are written. */
  public static final String JOURNAL = ".threegate-patch-journal";

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
   * @throws InvalidInputException when the patch is damaged or of another base, or the files are
   *     links or being patched by others; then nothing is written
   */
  public static void apply(Context context, Path model, Path patch, Progress progress)
      throws IOException {
    apply(context, model, patch, WeightPatch.Digests.REQUIRED, progress);
  }

  /** The same of a patch that may be without digests. */
  public static void apply(
      Context context, Path model, Path patch, WeightPatch.Digests digests, Progress progress)
      throws IOException {
    try (OutputLock held = OutputLock.of(journal(model))) {
      prepare(context, model, patch, digests, progress);
      complete(context, model, held.output(), false);
    }
  }

  /** Writes the journal, from which {@link #recover} does the rest. */
  static void prepare(
      Context context, Path model, Path patch, WeightPatch.Digests digests, Progress progress)
      throws IOException {
    Path journal = journal(model);
    if (isThere(journal)) {
      throw new InvalidInputException(journal + ": an interrupted patch has to be completed first");
    }
    try (Checkpoint base = Checkpoint.open(context, model);
        WeightPatch opened = WeightPatch.open(context, patch, digests)) {
      requireOwn(base);
      // Its digests are compared before the journal has its name.
      AtomicFiles.write(journal, out -> write(base, opened, progress, out));
    }
  }

  private static void write(Checkpoint base, WeightPatch patch, Progress progress, FileChannel out)
      throws IOException {
    PatchJournal.Writer journal =
        new PatchJournal.Writer(
            out, base, patch.fingerprint(), patch.options().checksum(), patch.digests(base));
    patch.forEachChunk(
        base,
        progress,
        (own, tensor) ->
            (begin, entries, patched) -> {
              if (entries.count() > 0) {
                newValues(entries, patched);
                journal.part(tensor, begin, entries);
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

  /** Whether there is a journal, or what was to become one. */
  static boolean isInterrupted(Path model) {
    Path journal = journal(model);
    return isThere(journal) || isThere(AtomicFiles.temporary(journal));
  }

  private static boolean isThere(Path file) {
    return Files.exists(file, LinkOption.NOFOLLOW_LINKS);
  }

  /** Nobody else has the bytes of these files under another name. */
  private static void requireOwn(Checkpoint model) throws IOException {
    for (SafetensorsFile file : model.files()) {
      boolean isLink = Files.isSymbolicLink(file.path());
      int names = (int) Files.getAttribute(file.path(), "unix:nlink", LinkOption.NOFOLLOW_LINKS);
      if (isLink || names > 1) {
        throw new InvalidInputException(
            file.path()
                + (isLink
                    ? ": is a link to another file"
                    : ": has " + names + " names (hard links)")
                + ", which other models may share; copy the model, or use --out");
      }
    }
  }

  /**
   * Completes what was interrupted.
   *
   * @return whether there was something
   * @throws InvalidInputException when the journal is damaged, or of other files, or what it leads
   *     to is not what its patch leads to; then nothing is written
   */
  public static boolean recover(Context context, Path model) throws IOException {
    Path journal = journal(model);
    if (!isInterrupted(model)) {
      return false;
    }
    try (OutputLock held = OutputLock.of(journal)) {
      AtomicFiles.deleteDirectory(AtomicFiles.temporary(held.output()));
      if (!isThere(journal)) {
        return false;
      }
      complete(context, model, journal, true);
      return true;
    }
  }

  /**
   * Completes what was interrupted, and patches, unless it was this patch that was interrupted.
   *
   * @return whether something was completed first
   * @throws InvalidInputException as {@link #recover} and {@link #apply} do
   */
  public static boolean recoverAndApply(
      Context context, Path model, Path patch, WeightPatch.Digests digests, Progress progress)
      throws IOException {
    Path journal = journal(model);
    try (OutputLock held = OutputLock.of(journal)) {
      boolean same = isThere(held.output()) && isOf(context, model, patch, digests);
      boolean completed = recover(context, model);
      if (!same) {
        apply(context, model, patch, digests, progress);
      }
      return completed;
    }
  }

  private static boolean isOf(Context context, Path model, Path patch, WeightPatch.Digests digests)
      throws IOException {
    try (Checkpoint base = Checkpoint.open(context, model);
        PatchJournal journal = PatchJournal.open(journal(model), base);
        WeightPatch opened = WeightPatch.open(context, patch, digests)) {
      return journal.isOf(opened.fingerprint());
    }
  }

  /**
   * @param doubted by who has not just written the journal
   */
  private static void complete(Context context, Path model, Path path, boolean doubted)
      throws IOException {
    try (Checkpoint base = Checkpoint.open(context, model);
        PatchJournal journal = PatchJournal.open(path, base)) {
      requireOwn(base);
      try (Targets targets = new Targets(context, journal)) {
        if (doubted) {
          targets.requireDigests();
        }
        for (PatchJournal.Part part : journal.parts()) {
          targets.write(part);
        }
        targets.sync();
      }
    }
    Files.delete(path);
    AtomicFiles.sync(path.toAbsolutePath().getParent());
  }

  /** The files that are written. */
  private static final class Targets implements AutoCloseable {
    private final Context context;
    private final PatchJournal journal;
    private final NativeBuffer chunk;
    private final Map<Path, FileChannel> files = new LinkedHashMap<>();
    private final Map<Integer, ChangedElements> rooms = new LinkedHashMap<>();

    Targets(Context context, PatchJournal journal) {
      this.context = context;
      this.journal = journal;
      this.chunk = context.allocate(PatchJournal.MOST);
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
              path + ": has changed; wait until nobody writes it and try again");
        }
      }
      return file;
    }

    /** A chunk as it is in its file. */
    private Range read(Tensor tensor, long begin, long bytes) throws IOException {
      chunk.readFrom(file(tensor), tensor.offset() + begin * Change.width(tensor), 0, bytes);
      return Range.first(chunk, bytes);
    }

    private ChangedElements apply(PatchJournal.Part part, Range all) throws IOException {
      ChangedElements changed =
          rooms.computeIfAbsent(
              part.width(),
              width ->
                  ChangedElements.allocate(
                      context, PatchJournal.MOST / width, width, ChangedElements.Form.OVERWRITE));
      journal.read(part, changed);
      try {
        changed.apply(all.elements(part.width()));
      } catch (KernelException e) {
        throw e.status() == Status.INVALID_ARGUMENT ? journal.damaged() : e;
      }
      return changed;
    }

    /**
     * Whatever of it has been written already, what tensors come to is known: nothing is written
     * into files that have these headers and are not the patch's base.
     */
    void requireDigests() throws IOException {
      Map<Tensor, Map<Long, PatchJournal.Part>> parts = new HashMap<>();
      for (PatchJournal.Part part : journal.parts()) {
        parts.computeIfAbsent(part.tensor(), own -> new HashMap<>()).put(part.begin(), part);
      }
      for (Map.Entry<Tensor, String> entry : journal.digests().entrySet()) {
        Tensor tensor = entry.getKey();
        if (!digest(tensor, parts.getOrDefault(tensor, Map.of())).equals(entry.getValue())) {
          throw new InvalidInputException(
              tensor.file().path()
                  + ": tensor \""
                  + tensor.name()
                  + "\" is none that the journal beside it was begun with; write the weights anew, and remove "
                  + JOURNAL);
        }
      }
    }

    private String digest(Tensor tensor, Map<Long, PatchJournal.Part> parts) throws IOException {
      long all = Change.elements(tensor);
      try (ChecksumFormat.Checksum sum = journal.checksum().begin(context)) {
        for (long begin = 0; begin < all; begin += Change.CHUNK) {
          long count = Math.min(Change.CHUNK, all - begin);
          Range now = read(tensor, begin, count * Change.width(tensor));
          if (parts.containsKey(begin)) {
            apply(parts.get(begin), now);
          }
          sum.update(now);
        }
        return sum.hex();
      }
    }

    void write(PatchJournal.Part part) throws IOException {
      // Read, changed, written back: no page is lost under a mapping when the disk fails.
      Range all = read(part.tensor(), part.begin(), part.bytes());
      ChangedElements changed = apply(part, all);
      writeBlocks(file(part.tensor()), part, changed, chunk);
    }

    /** Blocks of the file in which something changed, those side by side at once. */
    private static void writeBlocks(
        FileChannel file, PatchJournal.Part part, ChangedElements changed, NativeBuffer bytes)
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

    private static long block(PatchJournal.Part part, int position) {
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
}
