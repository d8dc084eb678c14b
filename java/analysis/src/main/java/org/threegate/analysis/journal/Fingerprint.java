package org.threegate.analysis.journal;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.TensorFile;

/**
 * Describes a run in one line. A later run may continue an interrupted one only if both lines are
 * equal.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base)) {
 *   System.out.println(Fingerprint.of("example 1.0", List.of(before), "all tensors"));
 * }
 * }</pre>
 */
public final class Fingerprint {
  private Fingerprint() {}

  /**
   * Describes a run.
   *
   * @param program name and version of the program
   * @param inputs checkpoints; the names, sizes and modification times of their files are part of
   *     the line
   * @param options other values that must be equal, compared by their {@code toString()}
   * @return one line of text
   * @throws IOException if the size or time of a file cannot be read
   */
  public static String of(String program, List<Checkpoint> inputs, Object... options)
      throws IOException {
    StringBuilder text = new StringBuilder(program);
    for (Checkpoint input : inputs) {
      for (TensorFile file : input.files()) {
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
