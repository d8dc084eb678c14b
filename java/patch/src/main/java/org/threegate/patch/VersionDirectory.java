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

/** Versions of a model side by side: {@code weight_v000001} and so on, patches or whole ones. */
final class VersionDirectory {
  static final String PATCH = "patch.safetensors";

  private static final Pattern NAME = Pattern.compile("weight_v(\\d{1,18})");

  private VersionDirectory() {}

  static Path version(Path directory, long version) {
    return directory.resolve(String.format(Locale.ROOT, "weight_v%06d", version));
  }

  /** Of a name such as {@code weight_v000001}. */
  static OptionalLong number(String name) {
    Matcher matcher = NAME.matcher(name);
    return matcher.matches()
        ? OptionalLong.of(Long.parseLong(matcher.group(1)))
        : OptionalLong.empty();
  }

  /** Ascending. What has another name, such as what is being written, is none. */
  static List<Long> versions(Path directory) throws IOException {
    if (!Files.isDirectory(directory)) {
      throw new InvalidInputException(directory + ": no such directory of versions");
    }
    return AtomicFiles.list(directory).stream()
        .map(path -> path.getFileName().toString())
        .flatMapToLong(name -> number(name).stream())
        .boxed()
        .distinct() // digits may be more than six
        .filter(version -> isWhole(version(directory, version)))
        .sorted()
        .toList();
  }

  /** An index is written last: a directory with neither is being written. */
  private static boolean isWhole(Path version) {
    try {
      return patch(version).isPresent() || anchor(version).isPresent();
    } catch (InvalidInputException e) {
      if (Files.exists(version)) {
        throw e;
      }
      return false; // the publisher removed it meanwhile
    }
  }

  /** Of a version that was there when versions were listed. */
  static InvalidInputException gone(Path version) {
    return new InvalidInputException(version + ": is gone, or no version; try again");
  }

  /** Where its patch is, if it is one. */
  static Optional<Path> patch(Path version) {
    if (InputFiles.isThere(version.resolve(PATCH))) {
      return Optional.of(version.resolve(PATCH));
    }
    Path index = version.resolve(PatchWriter.INDEX);
    return InputFiles.isThere(index) && metadata(index).has("delta_encoding")
        ? Optional.of(version)
        : Optional.empty();
  }

  private static JsonNode metadata(Path index) {
    return Json.readObject(index).path("metadata");
  }

  /** Where its checkpoint is, if it is a whole one. */
  static Optional<Path> anchor(Path version) {
    Path index = version.resolve(PatchWriter.INDEX);
    if (InputFiles.isThere(index)) {
      return metadata(index).has("delta_encoding") ? Optional.empty() : Optional.of(version);
    }
    return InputFiles.isThere(version.resolve("model.safetensors"))
        ? Optional.of(version)
        : Optional.empty();
  }
}
