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
 * Puts versions of a model into a directory, each as a patch of the one before, at times as a whole
 * one that subscribers may begin with. A version appears when it is complete.
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
   * @param anchors so many versions from one whole one to the next
   * @param kept whole ones that stay, with what follows them; older versions are removed
   */
  public record Options(PatchFormat format, ChecksumFormat checksum, int anchors, int kept) {
    /** Planar, every fiftieth version whole, the last two of these kept. */
    public static final Options DEFAULT =
        new Options(PatchFormat.PLANAR, ChecksumFormat.XXH3_128, 50, 2);

    public Options {
      if (anchors < 1 || kept < 1) {
        throw new IllegalArgumentException("anchors and those kept are 1 at least");
      }
    }
  }

  private PatchPublisher(Context context, Path directory, Options options) {
    this.context = context;
    this.directory = directory;
    this.options = options;
  }

  /**
   * Begins with a model, which becomes version 1, or goes on where another publisher ended.
   *
   * @param model a checkpoint; not looked at where there are versions already
   */
  public static PatchPublisher open(Context context, Path directory, Path model, Options options)
      throws IOException {
    Files.createDirectories(directory);
    try (OutputLock held = OutputLock.of(directory)) {
      AtomicFiles.removeLeftovers(held.output());
      PatchPublisher publisher = new PatchPublisher(context, directory, options);
      if (VersionDirectory.versions(directory).isEmpty()) {
        publisher.whole(model, 1);
      }
      // What it knows as the last version follows the directory, as a subscriber's does.
      new PatchSubscriber(context, directory, publisher.published()).update();
      return publisher;
    }
  }

  private Path published() {
    return directory.resolve(PUBLISHED);
  }

  /** The last version that is there. */
  public long version() throws IOException {
    List<Long> versions = VersionDirectory.versions(directory);
    return versions.get(versions.size() - 1);
  }

  /**
   * Publishes what a model has become.
   *
   * @return its version
   * @throws InvalidInputException when another process is publishing into the directory
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
      whole(model, version);
    } else {
      patch(model, version);
    }
    new PatchSubscriber(context, versions, published()).update();
    if (anchor) {
      retire();
    }
    return version;
  }

  private void whole(Path model, long version) throws IOException {
    try (Checkpoint checkpoint = Checkpoint.open(context, model)) {
      ModelCopy.write(checkpoint, Map.of(), VersionDirectory.version(directory, version));
    }
  }

  private void patch(Path model, long version) throws IOException {
    WeightPatch.Options own =
        new WeightPatch.Options(options.format(), options.checksum(), true, version, version - 1);
    Path target = VersionDirectory.version(directory, version);
    try (Checkpoint before = Checkpoint.open(context, published());
        Checkpoint after = Checkpoint.open(context, model)) {
      if (WeightPatch.isDirectory(options.format())) {
        WeightPatch.create(context, before, after, target, own, Progress.NONE);
      } else {
        AtomicFiles.writeDirectory(
            target,
            to ->
                WeightPatch.create(
                    context,
                    before,
                    after,
                    to.resolve(VersionDirectory.PATCH),
                    own,
                    Progress.NONE));
      }
    }
  }

  /** Removes what nobody needs who begins with one of the whole versions that stay. */
  private void retire() throws IOException {
    List<Long> versions = VersionDirectory.versions(directory);
    List<Long> anchors =
        versions.stream()
            .filter(
                version ->
                    VersionDirectory.anchor(VersionDirectory.version(directory, version))
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

  /** At once, for who reads it; half of it would be a damaged version. */
  private static void remove(Path version) throws IOException {
    Path temporary = AtomicFiles.temporary(version);
    AtomicFiles.deleteDirectory(temporary);
    Files.move(version, temporary, StandardCopyOption.ATOMIC_MOVE);
    AtomicFiles.deleteDirectory(temporary);
  }

  static InvalidInputException without(Path directory) {
    return new InvalidInputException(directory + ": has no version of a model");
  }
}
