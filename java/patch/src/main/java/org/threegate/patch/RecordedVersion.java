package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.OptionalLong;
import org.threegate.file.AtomicFiles;
import org.threegate.file.InputFiles;
import org.threegate.run.InvalidInputException;

/** The version of a model, in a small file beside its weights. */
final class RecordedVersion {
  private static final String FILE = ".threegate-version";
  private static final int LONGEST = 64; // bytes

  private RecordedVersion() {}

  /**
   * Reads the version of a model.
   *
   * @return empty if none is recorded
   * @throws InvalidInputException if the file does not have a version number
   */
  static OptionalLong read(Path model) throws IOException {
    Path file = model.resolve(FILE);
    if (!Files.exists(file, LinkOption.NOFOLLOW_LINKS)) {
      return OptionalLong.empty();
    }
    String text = InputFiles.text(file, LONGEST).strip();
    if (!text.matches("[1-9][0-9]{0,17}")) {
      throw new InvalidInputException(file + ": is not a version number: \"" + text + '"');
    }
    return OptionalLong.of(Long.parseLong(text));
  }

  /** Records the version of a model. */
  static void write(Path model, long version) throws IOException {
    ByteBuffer text = ByteBuffer.wrap((version + "\n").getBytes(StandardCharsets.US_ASCII));
    AtomicFiles.write(model.resolve(FILE), out -> FileIo.writeFully(out, text));
  }
}
