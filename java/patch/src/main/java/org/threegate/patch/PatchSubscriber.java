package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelCopy;
import org.threegate.file.AtomicFiles;
import org.threegate.file.InputFiles;
import org.threegate.file.OutputLock;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Follows the versions that a publisher puts into a directory, in another process or on another
 * machine: begins late, catches up over whole versions where patches are gone, goes on after it was
 * killed, and has a version bit for bit, or says why not.
 *
 * <pre>{@code
 * PatchSubscriber subscriber = new PatchSubscriber(context, directory, Path.of("served"));
 * long version = subscriber.update();
 * }</pre>
 */
public final class PatchSubscriber {
  private static final String VERSION = ".threegate-version";
  private static final int LONGEST_VERSION = 64;

  private final Context context;
  private final Path directory;
  private final Path target;

  /**
   * @param directory of versions
   * @param model directory that has one of them, or will
   */
  public PatchSubscriber(Context context, Path directory, Path model) {
    this.context = context;
    this.directory = directory;
    this.target = model;
  }

  /** Whether a directory has something to follow yet. */
  public static boolean hasVersions(Path directory) throws IOException {
    return Files.isDirectory(directory) && !VersionDirectory.versions(directory).isEmpty();
  }

  /** The version that the model has; 0: none yet. */
  public long version() throws IOException {
    return written(target).orElse(0);
  }

  /** The version that is written down beside a model. */
  static OptionalLong written(Path model) throws IOException {
    Path file = model.resolve(VERSION);
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      return OptionalLong.empty();
    }
    String text = InputFiles.text(file, LONGEST_VERSION).strip();
    if (!text.matches("[1-9][0-9]{0,17}")) {
      throw new InvalidInputException(file + ": no version: \"" + text + '"');
    }
    return OptionalLong.of(Long.parseLong(text));
  }

  /**
   * Makes the model the last version that can be reached.
   *
   * @return that version
   * @throws InvalidInputException when a version is missing or damaged, or another process makes it
   *     one; the model has the one before
   */
  @SuppressWarnings("try")
  public long update() throws IOException {
    // Through a link to where the model is, so that the link stays.
    Following following = new Following(Files.isDirectory(target) ? target.toRealPath() : target);
    if (following.isDone()) {
      return following.version(); // seldom anything else for who looks all the time
    }
    try (OutputLock held = OutputLock.of(following.model)) {
      following.removeLeftovers();
      return following.update();
    }
  }

  /** Of who alone writes the model. */
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
      return written(model).orElse(0);
    }

    /** Whether the model is the last version, and nothing is left behind. */
    boolean isDone() throws IOException {
      List<Long> versions = VersionDirectory.versions(directory);
      return !versions.isEmpty()
          && version() == versions.get(versions.size() - 1)
          && !PatchInPlace.isInterrupted(model)
          && left().stream().noneMatch(path -> Files.exists(path, LinkOption.NOFOLLOW_LINKS));
    }

    private List<Path> left() {
      return List.of(old, next, AtomicFiles.temporary(next));
    }

    long update() throws IOException {
      while (true) {
        List<Long> versions = VersionDirectory.versions(directory);
        try {
          return update(versions);
        } catch (InvalidInputException | NoSuchFileException e) {
          // Perhaps of a version that the publisher removed meanwhile; then there are others.
          if (VersionDirectory.versions(directory).equals(versions)) {
            throw e;
          }
        }
      }
    }

    private long update(List<Long> versions) throws IOException {
      if (Files.isDirectory(model)) {
        PatchInPlace.recover(context, model);
      }
      if (versions.isEmpty()) {
        throw PatchPublisher.without(directory);
      }
      long last = versions.get(versions.size() - 1);
      long own = version();
      if (own > last) {
        throw new InvalidInputException(
            model
                + ": is version "
                + own
                + ", and the last one in "
                + directory
                + " is "
                + last
                + "; follow the directory that it is of, or name a new directory");
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
                  + " is missing, and no later one is whole; the model has "
                  + (next - 1));
        }
        step(next);
      }
      return last;
    }

    /** The version from which all that follow are patches: its own, or the last whole one. */
    private long begin(List<Long> versions, long own) {
      Optional<Long> anchor =
          versions.stream()
              .filter(version -> version > own)
              .filter(
                  version ->
                      VersionDirectory.anchor(VersionDirectory.version(directory, version))
                          .isPresent())
              .reduce((first, second) -> second);
      if (anchor.isEmpty() && own == 0) {
        throw new InvalidInputException(
            directory + ": has no whole version to begin with; the publisher makes one at times");
      }
      return anchor.orElse(own);
    }

    /** What a killed run left: the old version is the model while the new one is not. */
    void removeLeftovers() throws IOException {
      if (!Files.exists(model) && Files.isDirectory(old, LinkOption.NOFOLLOW_LINKS)) {
        Files.move(old, model, StandardCopyOption.ATOMIC_MOVE);
      }
      for (Path left : left()) {
        AtomicFiles.deleteDirectory(left);
      }
    }

    /** What is there goes when the other is whole; a directory that is nobody's version stays. */
    private void replace(long version) throws IOException {
      if (Files.isDirectory(model)
          && written(model).isEmpty()
          && !AtomicFiles.list(model).isEmpty()) {
        throw new InvalidInputException(
            model
                + ": has files, and no note of the version that they are; name a new directory, or an empty one");
      }
      Path place = VersionDirectory.version(directory, version);
      try (Checkpoint whole =
          Checkpoint.open(
              context,
              VersionDirectory.anchor(place).orElseThrow(() -> VersionDirectory.gone(place)))) {
        ModelCopy.write(whole, Map.of(), next);
      }
      write(next, version);
      if (Files.exists(model)) {
        // At once: killed here, the next run puts it back.
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
        PatchInPlace.apply(context, model, patch, Progress.NONE);
      }
      write(model, version);
    }

    /** It was killed between the weights and their version. */
    private boolean isApplied(Path patch, long version) {
      try (WeightPatch opened = WeightPatch.open(context, patch);
          Checkpoint now = Checkpoint.open(context, model)) {
        if (opened.options().version() != version
            || opened.options().baseVersion() != version - 1) {
          throw new InvalidInputException(
              patch
                  + ": leads from "
                  + opened.options().baseVersion()
                  + " to "
                  + opened.options().version()
                  + ", and not to "
                  + version);
        }
        return !opened.entries().isEmpty() && opened.leadsTo(now);
      }
    }
  }

  private static void write(Path model, long version) throws IOException {
    ByteBuffer text = ByteBuffer.wrap((version + "\n").getBytes(StandardCharsets.US_ASCII));
    AtomicFiles.write(model.resolve(VERSION), out -> Range.writeFully(out, text));
  }
}
