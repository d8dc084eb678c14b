package org.threegate.patch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.ModelCopy;
import org.threegate.file.AtomicFiles;
import org.threegate.file.OutputLock;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Publishes versions of a model in a directory. Most versions are patches of the version before;
 * every so often one is a full checkpoint, from which a {@link PatchSubscriber} can begin. A
 * version appears when it is complete. One process at a time can publish into a directory.
 *
 * <pre>{@code
 * PatchPublisher publisher =
 *     PatchPublisher.open(context, directory, base, PatchPublisher.Options.DEFAULT);
 * long version = publisher.publish(tuned);
 * }</pre>
 */
public final class PatchPublisher {
  private static final String PUBLISHED = ".published";

  private final Context context;
  private final Path directory;
  private final Options options;

  /**
   * How versions are published.
   *
   * @param format format of the patches
   * @param checksum algorithm of the patches' digests
   * @param anchors number of versions from one full checkpoint to the next, at least 1
   * @param kept number of full checkpoints that are kept, at least 1; versions before them are
   *     removed
   */
  public record Options(PatchFormat format, ChecksumFormat checksum, int anchors, int kept) {
    /** Planar patches, a full checkpoint every 50 versions, of which the last two are kept. */
    public static final Options DEFAULT =
        new Options(PatchFormat.PLANAR, ChecksumFormat.XXH3_128, 50, 2);

    /**
     * Checks the numbers.
     *
     * @throws IllegalArgumentException if a number is below 1
     */
    public Options {
      if (anchors < 1 || kept < 1) {
        throw new IllegalArgumentException(
            "anchors is " + anchors + " and kept is " + kept + "; both must be at least 1");
      }
    }
  }

  private PatchPublisher(Context context, Path directory, Options options) {
    this.context = context;
    this.directory = directory;
    this.options = options;
  }

  /**
   * Opens a directory of versions. An empty directory gets the model as version 1. Otherwise the
   * publisher continues after the last version.
   *
   * @param context its number of threads is used
   * @param directory created if it does not exist
   * @param model a checkpoint; not read if the directory has versions
   * @param options how versions are published
   * @return the publisher
   * @throws InvalidInputException if another process is publishing into the directory
   * @throws IOException if a file cannot be read or written
   */
  public static PatchPublisher open(Context context, Path directory, Path model, Options options)
      throws IOException {
    Files.createDirectories(directory);
    try (OutputLock held = OutputLock.of(directory)) {
      AtomicFiles.removeLeftovers(held.output());
      PatchPublisher publisher = new PatchPublisher(context, directory, options);
      if (VersionDirectory.versions(directory).isEmpty()) {
        publisher.writeCheckpoint(model, 1);
      }
      // The publisher keeps its own copy of the last version, as a subscriber does.
      new PatchSubscriber(context, directory, publisher.published()).update();
      return publisher;
    }
  }

  private Path published() {
    return directory.resolve(PUBLISHED);
  }

  /**
   * {@return the last version in the directory}
   *
   * @throws IOException if the directory cannot be read
   */
  public long version() throws IOException {
    List<Long> versions = VersionDirectory.versions(directory);
    return versions.get(versions.size() - 1);
  }

  /**
   * Publishes a model as the next version.
   *
   * @param model a checkpoint with the tensors of the version before
   * @return the new version
   * @throws InvalidInputException if another process is publishing into the directory
   * @throws IOException if a file cannot be read or written
   */
  public long publish(Path model) throws IOException {
    try (OutputLock held = OutputLock.of(directory)) {
      return publish(model, held.output());
    }
  }

  private long publish(Path model, Path versions) throws IOException {
    long version = version() + 1;
    boolean anchor = (version - 1) % options.anchors() == 0;
    if (anchor) {
      writeCheckpoint(model, version);
    } else {
      writePatch(model, version);
    }
    new PatchSubscriber(context, versions, published()).update();
    if (anchor) {
      removeOld();
    }
    return version;
  }

  private void writeCheckpoint(Path model, long version) throws IOException {
    try (Checkpoint checkpoint = Checkpoint.open(context, model)) {
      ModelCopy.write(checkpoint, Map.of(), VersionDirectory.version(directory, version));
    }
  }

  private void writePatch(Path model, long version) throws IOException {
    PatchCreator creator =
        new PatchCreator(
            context,
            PatchOptions.of(options.format())
                .withChecksum(options.checksum())
                .withVersions(new PatchVersions(version - 1, version)));
    Path target = VersionDirectory.version(directory, version);
    try (Checkpoint before = Checkpoint.open(context, published());
        Checkpoint after = Checkpoint.open(context, model)) {
      if (options.format().isDirectory()) {
        creator.create(before, after, target, Progress.NONE);
      } else {
        AtomicFiles.writeDirectory(
            target,
            to -> creator.create(before, after, to.resolve(VersionDirectory.PATCH), Progress.NONE));
      }
    }
  }

  /** Removes the versions before the oldest full checkpoint that is kept. */
  private void removeOld() throws IOException {
    List<Long> versions = VersionDirectory.versions(directory);
    List<Long> anchors =
        versions.stream()
            .filter(
                version ->
                    VersionDirectory.checkpoint(VersionDirectory.version(directory, version))
                        .isPresent())
            .toList();
    if (anchors.size() > options.kept()) {
      long first = anchors.get(anchors.size() - options.kept());
      for (long version : versions) {
        if (version < first) {
          remove(VersionDirectory.version(directory, version));
        }
      }
    }
  }

  /** Removes a version in one step, so that readers never see a part of it. */
  private static void remove(Path version) throws IOException {
    Path temporary = AtomicFiles.temporary(version);
    AtomicFiles.deleteDirectory(temporary);
    Files.move(version, temporary, StandardCopyOption.ATOMIC_MOVE);
    AtomicFiles.deleteDirectory(temporary);
  }
}
