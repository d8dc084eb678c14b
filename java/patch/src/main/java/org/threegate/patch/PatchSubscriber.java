package org.threegate.patch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelCopy;
import org.threegate.file.AtomicFiles;
import org.threegate.file.OutputLock;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Keeps a model at the last version that a {@link PatchPublisher} published, in another process or
 * on another machine. The model is patched in place. A subscriber may begin late: it starts from
 * full checkpoints where patches were removed. It continues after it was killed, and the model has
 * the bytes of its version, or an exception tells why not.
 *
 * <pre>{@code
 * PatchSubscriber subscriber = new PatchSubscriber(context, directory, Path.of("served"));
 * long version = subscriber.update();
 * }</pre>
 */
public final class PatchSubscriber {
  private final Context context;
  private final Path directory;
  private final Path target;

  /**
   * Creates a subscriber. No file is read yet.
   *
   * @param context its number of threads is used
   * @param directory directory of versions
   * @param model directory of the model; created by the first update, or left by another one
   */
  public PatchSubscriber(Context context, Path directory, Path model) {
    this.context = context;
    this.directory = directory;
    this.target = model;
  }

  /**
   * {@return whether a directory exists and has a complete version}
   *
   * @param directory directory of versions
   * @throws IOException if the directory cannot be read
   */
  public static boolean hasVersions(Path directory) throws IOException {
    return Files.isDirectory(directory) && !VersionDirectory.versions(directory).isEmpty();
  }

  /**
   * {@return the version of the model, or 0 if it has none yet}
   *
   * @throws IOException if the recorded version cannot be read
   */
  public long version() throws IOException {
    return RecordedVersion.read(target).orElse(0);
  }

  /**
   * Brings the model to the last version.
   *
   * @return the version of the model
   * @throws InvalidInputException if a version is missing or damaged, or another process updates
   *     the model; the model keeps the version before
   * @throws IOException if a file cannot be read or written
   */
  @SuppressWarnings("try")
  public long update() throws IOException {
    // If the model is a link, update the directory that it leads to and keep the link.
    Following following = new Following(Files.isDirectory(target) ? target.toRealPath() : target);
    if (following.isDone()) {
      return following.version(); // without a lock, for callers that poll
    }
    try (OutputLock held = OutputLock.of(following.model)) {
      following.removeLeftovers();
      return following.update();
    }
  }

  /** An update of a model, whose lock this process holds. */
  private final class Following {
    private final Path model;
    private final Path old;
    private final Path next;

    Following(Path model) {
      this.model = model;
      this.old = model.resolveSibling(".old-" + model.getFileName());
      this.next = model.resolveSibling(".next-" + model.getFileName());
    }

    long version() throws IOException {
      return RecordedVersion.read(model).orElse(0);
    }

    /** Returns whether the model is the last version and no interrupted update left files. */
    boolean isDone() throws IOException {
      List<Long> versions = VersionDirectory.versions(directory);
      return !versions.isEmpty()
          && version() == versions.get(versions.size() - 1)
          && !new PatchInPlace(context, model).isInterrupted()
          && leftovers().stream().noneMatch(path -> Files.exists(path, LinkOption.NOFOLLOW_LINKS));
    }

    private List<Path> leftovers() {
      return List.of(old, next, AtomicFiles.temporary(next));
    }

    long update() throws IOException {
      while (true) {
        List<Long> versions = VersionDirectory.versions(directory);
        try {
          return update(versions);
        } catch (InvalidInputException | NoSuchFileException e) {
          // The publisher may have removed the version; then the list of versions has changed.
          if (VersionDirectory.versions(directory).equals(versions)) {
            throw e;
          }
        }
      }
    }

    private long update(List<Long> versions) throws IOException {
      if (Files.isDirectory(model)) {
        new PatchInPlace(context, model).recover();
      }
      if (versions.isEmpty()) {
        throw new InvalidInputException(directory + ": has no version of a model");
      }
      long last = versions.get(versions.size() - 1);
      long own = version();
      if (own > last) {
        throw new InvalidInputException(
            model
                + ": is version "
                + own
                + ", but the last version in "
                + directory
                + " is "
                + last
                + "; follow the directory that the model came from, or use a new model directory");
      }
      long from = begin(versions, own);
      if (from != own) {
        replace(from);
      }
      for (long next = from + 1; next <= last; next++) {
        if (!versions.contains(next)) {
          throw new InvalidInputException(
              directory
                  + ": version "
                  + next
                  + " is missing, and no later version is a full checkpoint; the model has version "
                  + (next - 1));
        }
        step(next);
      }
      return last;
    }

    /** Returns the version to start from: the last full checkpoint, or the model's own version. */
    private long begin(List<Long> versions, long own) {
      Optional<Long> anchor =
          versions.stream()
              .filter(version -> version > own)
              .filter(
                  version ->
                      VersionDirectory.checkpoint(VersionDirectory.version(directory, version))
                          .isPresent())
              .reduce((first, second) -> second);
      if (anchor.isEmpty() && own == 0) {
        throw new InvalidInputException(
            directory
                + ": has no full checkpoint to begin with; wait until the publisher writes one");
      }
      return anchor.orElse(own);
    }

    /** Removes what a killed update left. The old version comes back if the new one is missing. */
    void removeLeftovers() throws IOException {
      if (!Files.exists(model) && Files.isDirectory(old, LinkOption.NOFOLLOW_LINKS)) {
        Files.move(old, model, StandardCopyOption.ATOMIC_MOVE);
      }
      for (Path left : leftovers()) {
        AtomicFiles.deleteDirectory(left);
      }
    }

    /**
     * Replaces the model by a full checkpoint, once that is copied. A directory with files but
     * without a recorded version is not touched.
     */
    private void replace(long version) throws IOException {
      if (Files.isDirectory(model)
          && RecordedVersion.read(model).isEmpty()
          && !AtomicFiles.list(model).isEmpty()) {
        throw new InvalidInputException(
            model + ": has files but no recorded version; use a new or an empty directory");
      }
      Path place = VersionDirectory.version(directory, version);
      try (Checkpoint whole =
          Checkpoint.open(
              context,
              VersionDirectory.checkpoint(place).orElseThrow(() -> VersionDirectory.gone(place)))) {
        ModelCopy.write(whole, Map.of(), next);
      }
      RecordedVersion.write(next, version);
      if (Files.exists(model)) {
        // If the process is killed after this move, the next update moves the old version back.
        Files.move(model, old, StandardCopyOption.ATOMIC_MOVE);
      }
      Files.move(next, model, StandardCopyOption.ATOMIC_MOVE);
      AtomicFiles.sync(model.toAbsolutePath().getParent());
      AtomicFiles.deleteDirectory(old);
    }

    private void step(long version) throws IOException {
      Path place = VersionDirectory.version(directory, version);
      Path patch = VersionDirectory.patch(place).orElseThrow(() -> VersionDirectory.gone(place));
      if (!isApplied(patch, version)) {
        new PatchInPlace(context, model).apply(patch, Progress.NONE);
      }
      RecordedVersion.write(model, version);
    }

    /** Returns whether an update was killed between the weights and their recorded version. */
    private boolean isApplied(Path patch, long version) {
      try (WeightPatch opened = WeightPatch.open(context, patch);
          Checkpoint now = Checkpoint.open(context, model)) {
        PatchVersions versions = opened.options().versions();
        if (versions.target() != version || versions.base() != version - 1) {
          throw new InvalidInputException(
              patch
                  + ": leads from version "
                  + versions.base()
                  + " to version "
                  + versions.target()
                  + ", but is published as version "
                  + version);
        }
        return !opened.entries().isEmpty() && new PatchVerifier(opened).isResult(now);
      }
    }
  }
}
