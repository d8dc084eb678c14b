package org.threegate.patch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalLong;
import org.threegate.run.InvalidInputException;

/**
 * The patches of a directory of versions that follow a model.
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
   * In order, up to the last version.
   *
   * @param patches a directory of versions; anything else is one patch itself
   * @param model whose version a subscriber wrote down, or that is a whole version itself
   * @throws InvalidInputException when the model's version is not known, a version is missing, or
   *     one is whole, so that nothing leads to it
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
      long whole = next;
      chain.add(
          VersionDirectory.patch(directory)
              .orElseThrow(
                  () ->
                      new InvalidInputException(
                          directory
                              + ": version "
                              + whole
                              + " is whole, no patch; begin with it, or name the patches")));
    }
    if (chain.isEmpty()) {
      throw new InvalidInputException(
          patches + ": no version after " + version + ", which " + model + " is");
    }
    return chain;
  }

  private static long version(Path model) throws IOException {
    OptionalLong written = PatchSubscriber.written(model);
    OptionalLong version =
        written.isPresent()
            ? written
            : VersionDirectory.number(model.toAbsolutePath().normalize().getFileName().toString());
    return version.orElseThrow(
        () ->
            new InvalidInputException(
                model
                    + ": which version it is is written nowhere: name the patches, or one of the whole versions"));
  }
}
