package org.threegate.patch;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.checkpoint.Json;
import org.threegate.file.AtomicFiles;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/**
 * A directory of versions of a model: {@code weight_v000001} and so on. Each is a patch of the
 * version before it, or a full checkpoint.
 */
final class VersionDirectory {
  /** Name of a patch that is a file, in the directory of its version. */
  static final String PATCH = "patch.safetensors";

  private static final Pattern NAME = Pattern.compile("weight_v(\\d{1,18})");

  private VersionDirectory() {}

  /** Returns the directory of a version. */
  static Path version(Path directory, long version) {
    return directory.resolve(String.format(Locale.ROOT, "weight_v%06d", version));
  }

  /** Returns the version of a name such as {@code weight_v000001}. */
  static OptionalLong number(String name) {
    Matcher matcher = NAME.matcher(name);
    return matcher.matches()
        ? OptionalLong.of(Long.parseLong(matcher.group(1)))
        : OptionalLong.empty();
  }

  /**
   * Lists the complete versions, in ascending order. Other names are ignored, among them those of
   * versions that are being written.
   */
  static List<Long> versions(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      throw new InvalidInputException(directory + ": no such directory of versions");
    }
    return AtomicFiles.list(directory).stream()
        .map(path -> path.getFileName().toString())
        .flatMapToLong(name -> number(name).stream())
        .boxed()
        .distinct() // digits may be more than six
        .filter(version -> isComplete(version(directory, version)))
        .sorted()
        .toList();
  }

  /** Returns whether a version is complete. Its index or its file is written last. */
  private static boolean isComplete(Path version) {
    try {
      return patch(version).isPresent() || checkpoint(version).isPresent();
    } catch (InvalidInputException e) {
      if (Files.exists(version)) {
        throw e;
      }
      return false; // the publisher has just removed it
    }
  }

  /** Returns the exception for a version that was removed after versions were listed. */
  static InvalidInputException gone(Path version) {
    return new InvalidInputException(version + ": was removed, or is not a version; try again");
  }

  /** Returns the path of a version's patch, if the version is a patch. */
  static Optional<Path> patch(Path version) {
    if (InputFiles.isThere(version.resolve(PATCH))) {
      return Optional.of(version.resolve(PATCH));
    }
    Path index = version.resolve(PatchMetadata.INDEX);
    return InputFiles.isThere(index) && metadata(index).has(PatchMetadata.DELTA_ENCODING)
        ? Optional.of(version)
        : Optional.empty();
  }

  private static JsonNode metadata(Path index) {
    return Json.readObject(index).path("metadata");
  }

  /** Returns the path of a version's checkpoint, if the version is a full checkpoint. */
  static Optional<Path> checkpoint(Path version) {
    Path index = version.resolve(PatchMetadata.INDEX);
    if (InputFiles.isThere(index)) {
      return metadata(index).has(PatchMetadata.DELTA_ENCODING)
          ? Optional.empty()
          : Optional.of(version);
    }
    return InputFiles.isThere(version.resolve("model.safetensors"))
        ? Optional.of(version)
        : Optional.empty();
  }
}
