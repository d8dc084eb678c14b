package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsFile;

/** What a run is of, in one line: another run may go on with it if that is the same. */
final class Fingerprint {
  private Fingerprint() {}

  static String of(List<Checkpoint> inputs, Object... options) throws IOException {
    StringBuilder text = new StringBuilder("threegate " + Version.current());
    for (Checkpoint input : inputs) {
      for (SafetensorsFile file : input.files()) {
        Path path = file.path().toAbsolutePath().normalize();
        text.append(" | ")
            .append(path)
            .append(' ')
            .append(file.bytes())
            .append(' ')
            .append(Files.getLastModifiedTime(path));
      }
    }
    for (Object option : options) {
      text.append(" | ").append(option);
    }
    return text.toString().replaceAll("\\R", " ");
  }
}
