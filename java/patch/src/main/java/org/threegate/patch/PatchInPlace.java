package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.TensorFile;
import org.threegate.file.AtomicFiles;
import org.threegate.file.OutputLock;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;
import org.threegate.run.Remedy;

/**
 * Patches the files of a checkpoint. What is to be written goes to a journal first. The journal is
 * synced and renamed, and then the files are changed. If the process is killed before the rename,
 * the files are the old version; after it, {@link #recover} makes them the new version. One process
 * at a time can patch a model.
 *
 * <p>Files that are links or have several hard links are refused, because other models may share
 * their bytes.
 *
 * <pre>{@code
 * PatchInPlace served = new PatchInPlace(context, base);
 * served.recover();
 * served.apply(Path.of("weight_v000002"), Progress.NONE);
 * }</pre>
 */
public final class PatchInPlace {
  /** Name of the file beside the weights that exists while they are written. */
  public static final String JOURNAL = JournalFormat.NAME;

  private final Context context;
  private final Path model;
  private final Path journal;

  /**
   * Creates an object that patches a model. No file is read yet.
   *
   * @param context its number of threads is used
   * @param model a directory, or a safetensors file
   */
  public PatchInPlace(Context context, Path model) {
    this.context = context;
    this.model = model;
    Path directory = Files.isDirectory(model) ? model : model.toAbsolutePath().getParent();
    this.journal = directory.resolve(JOURNAL);
  }

  /**
   * Applies a patch that has digests.
   *
   * @param patch a patch of any format, as {@link WeightPatch#open(Context, Path)} reads it
   * @param progress receives bytes of changed tensors
   * @throws InvalidInputException if the patch is damaged or was made from another base, or if the
   *     files are links or another process patches them; nothing is written then
   * @throws IOException if a file cannot be read or written
   */
  public void apply(Path patch, Progress progress) throws IOException {
    apply(patch, DigestPolicy.REQUIRED, progress);
  }

  /**
   * Applies a patch as {@link #apply(Path, Progress)} does, with a choice about digests.
   *
   * @param patch a patch of any format
   * @param policy whether a patch without digests is refused
   * @param progress receives bytes of changed tensors
   * @throws IOException if a file cannot be read or written
   */
  public void apply(Path patch, DigestPolicy policy, Progress progress) throws IOException {
    try (OutputLock held = OutputLock.of(journal)) {
      prepare(patch, policy, progress);
      complete(held.output(), false);
    }
  }

  /**
   * Completes a patch that was interrupted, if there is one.
   *
   * @return whether a patch was completed
   * @throws InvalidInputException if the journal is damaged or belongs to other files, or if its
   *     result has other digests than the patch; nothing is written then
   * @throws IOException if a file cannot be read or written
   */
  public boolean recover() throws IOException {
    if (!isInterrupted()) {
      return false;
    }
    try (OutputLock held = OutputLock.of(journal)) {
      AtomicFiles.deleteDirectory(AtomicFiles.temporary(held.output()));
      if (!exists(journal)) {
        return false;
      }
      complete(journal, true);
      return true;
    }
  }

  /**
   * Completes a patch that was interrupted, then applies a patch unless it was the interrupted one.
   *
   * @param patch a patch of any format
   * @param policy whether a patch without digests is refused
   * @param progress receives bytes of changed tensors
   * @return whether an interrupted patch was completed
   * @throws InvalidInputException as {@link #recover} and {@link #apply(Path, Progress)} do
   * @throws IOException if a file cannot be read or written
   */
  public boolean recoverAndApply(Path patch, DigestPolicy policy, Progress progress)
      throws IOException {
    try (OutputLock held = OutputLock.of(journal)) {
      boolean same = exists(held.output()) && isOf(patch, policy);
      boolean completed = recover();
      if (!same) {
        apply(patch, policy, progress);
      }
      return completed;
    }
  }

  /** Returns whether a journal, or an incomplete one, lies beside the model. */
  boolean isInterrupted() {
    return exists(journal) || exists(AtomicFiles.temporary(journal));
  }

  /** Writes the journal, from which {@link #recover} can complete the patch. */
  void prepare(Path patch, DigestPolicy policy, Progress progress) throws IOException {
    if (exists(journal)) {
      throw new InvalidInputException(journal + ": an interrupted patch has to be completed first");
    }
    try (Checkpoint base = Checkpoint.open(context, model);
        WeightPatch opened = WeightPatch.open(context, patch, policy)) {
      requireUnshared(base);
      // Digests are compared before the journal gets its name.
      AtomicFiles.write(journal, out -> write(base, opened, progress, out));
    }
  }

  private static void write(Checkpoint base, WeightPatch patch, Progress progress, FileChannel out)
      throws IOException {
    JournalWriter writer = new JournalWriter(out, base, patch);
    new PatchApplier(patch, base)
        .forEachChunk(
            progress,
            (own, tensor) ->
                (begin, entries, patched) -> {
                  if (entries.count() > 0) {
                    toNewValues(entries, patched);
                    writer.part(tensor, begin, entries);
                  }
                });
    writer.end();
  }

  /** Replaces values of entries by those of the patched chunk. */
  private static void toNewValues(ChangedElements entries, Range patched) {
    if (entries.form() == ChangedElements.Form.OVERWRITE) {
      return;
    }
    int count = Math.toIntExact(entries.count());
    try (Range.View from = patched.view();
        Range.View positions = Range.first(entries.positions(), 4L * count).view();
        Range.View values =
            Range.first(entries.values(), (long) entries.width() * count).output()) {
      gather(entries.width(), from.bytes(), positions.bytes(), values.bytes());
    }
  }

  private static void gather(int width, ByteBuffer from, ByteBuffer positions, ByteBuffer to) {
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

  /**
   * Writes the files and deletes the journal.
   *
   * @param verify whether digests are compared first; not needed just after {@link #prepare}
   */
  private void complete(Path path, boolean verify) throws IOException {
    try (Checkpoint base = Checkpoint.open(context, model);
        PatchJournal opened = JournalReader.open(path, base)) {
      requireUnshared(base);
      try (JournalReplay replay = new JournalReplay(context, opened)) {
        if (verify) {
          replay.requireDigests();
        }
        replay.write();
      }
    }
    Files.delete(path);
    AtomicFiles.sync(path.toAbsolutePath().getParent());
  }

  private boolean isOf(Path patch, DigestPolicy policy) throws IOException {
    try (Checkpoint base = Checkpoint.open(context, model);
        PatchJournal interrupted = JournalReader.open(journal, base);
        WeightPatch opened = WeightPatch.open(context, patch, policy)) {
      return interrupted.isOf(opened.fingerprint());
    }
  }

  private static boolean exists(Path file) {
    return Files.exists(file, LinkOption.NOFOLLOW_LINKS);
  }

  /** Checks that no other file name leads to the bytes of the model. */
  private static void requireUnshared(Checkpoint model) throws IOException {
    model.requireSafetensors();
    for (TensorFile file : model.files()) {
      boolean isLink = Files.isSymbolicLink(file.path());
      int names = (int) Files.getAttribute(file.path(), "unix:nlink", LinkOption.NOFOLLOW_LINKS);
      if (isLink || names > 1) {
        throw new InvalidInputException(
            file.path()
                + (isLink
                    ? ": is a link to another file"
                    : ": has " + names + " names (hard links)")
                + ", which other models may share",
            Remedy.WRITE_ELSEWHERE);
      }
    }
  }
}
