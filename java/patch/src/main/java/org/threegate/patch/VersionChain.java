package org.threegate.patch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.threegate.run.InvalidInputException;

/**
 * Lists the patches in a directory of versions that follow the version of a model.
 *
 * <pre>{@code
 * for (Path patch : VersionChain.of(directory, directory.resolve("weight_v000001"))) {
 *   System.out.println(patch);
 * }
 * }</pre>
 */
public final class VersionChain {
  private VersionChain() {}

  /**
   * {@return the patches from the version after the model's to the last one, in order}
   *
   * @param patches a directory of versions; any other path is returned as the only patch
   * @param model a model whose version a {@link PatchSubscriber} recorded, or a version in the
   *     directory that is a full checkpoint
   * @throws InvalidInputException if the model's version is unknown, or a later version is missing
   *     or is a full checkpoint
   * @throws IOException if a directory or the recorded version cannot be read
   */
  public static List<Path> of(Path patches, Path model) throws IOException {
    if (!Files.isDirectory(patches)) {
      return List.of(patches);
    }
    List<Long> versions = VersionDirectory.versions(patches);
    if (versions.isEmpty()) {
      return List.of(patches);
    }
    long version = version(model);
    List<Path> chain = new ArrayList<>();
    for (long next = version + 1; next <= versions.get(versions.size() - 1); next++) {
      Path directory = VersionDirectory.version(patches, next);
      if (!versions.contains(next)) {
        throw new InvalidInputException(
            patches + ": version " + next + " is missing; " + model + " is version " + version);
      }
      long number = next;
      chain.add(
          VersionDirectory.patch(directory)
              .orElseThrow(
                  () ->
                      new InvalidInputException(
                          directory
                              + ": version "
                              + number
                              + " is a full checkpoint, not a patch; begin with it, or list the"
                              + " patches")));
    }
    if (chain.isEmpty()) {
      throw new InvalidInputException(
          patches + ": has no version after " + version + ", the version of " + model);
    }
    return chain;
  }

  private static long version(Path model) throws IOException {
    OptionalLong recorded = RecordedVersion.read(model);
    OptionalLong version =
        recorded.isPresent()
            ? recorded
            : VersionDirectory.number(model.toAbsolutePath().normalize().getFileName().toString());
    return version.orElseThrow(
        () ->
            new InvalidInputException(
                model
                    + ": its version is not recorded; list the patches, or name a version that is a"
                    + " full checkpoint"));
  }
}
