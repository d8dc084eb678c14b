package org.threegate.file;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import org.threegate.run.InvalidInputException;

/**
 * Reads the lines of an untrusted file, one after the other. The file may be large, but not a line.
 * Only regular files are read.
 *
 * <pre>{@code
 * try (InputLines lines = InputLines.open(Path.of("train.jsonl"), 1 << 20)) {
 *   for (var line = lines.next(); line.isPresent(); line = lines.next()) {
 *     System.out.println(lines.number() + ": " + line.get());
 *   }
 * }
 * }</pre>
 */
public final class InputLines implements AutoCloseable {
  private static final long LARGEST_FILE = 1L << 36;

  private final Path path;
  private final InputStream in;
  private final int longest;
  private final boolean strict;
  private long number;

  private InputLines(Path path, int longest, boolean strict) {
    this.path = path;
    this.in = InputFiles.open(path, LARGEST_FILE);
    this.longest = longest;
    this.strict = strict;
  }

  /**
   * Opens a file of UTF-8 text.
   *
   * @param path path of the file
   * @param longest largest valid length of a line, in bytes
   * @return the lines, which the caller closes
   * @throws InvalidInputException if the file does not exist, is not regular, or is larger than 64
   *     GiB
   */
  public static InputLines open(Path path, int longest) {
    return new InputLines(path, longest, true);
  }

  /**
   * Opens a file that a killed run may have left. Bytes that are not valid UTF-8 become replacement
   * characters.
   *
   * @param path path of the file
   * @param longest largest valid length of a line, in bytes
   * @return the lines, which the caller closes
   */
  public static InputLines ofRun(Path path, int longest) {
    return new InputLines(path, longest, false);
  }

  /**
   * {@return the next line without its line end; empty after the last one}
   *
   * @throws InvalidInputException if the line is too long or not valid UTF-8, or cannot be read
   */
  public Optional<String> next() {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    try {
      int c = in.read();
      if (c < 0) {
        return Optional.empty();
      }
      number++;
      for (; c >= 0 && c != '\n'; c = in.read()) {
        if (line.size() == longest) {
          throw new InvalidInputException(
              where() + ": is longer than " + longest + " bytes, the largest valid length");
        }
        line.write(c);
      }
    } catch (IOException e) {
      throw new InvalidInputException(path + ": cannot be read: " + e.getMessage(), e);
    }
    byte[] bytes = line.toByteArray();
    int length =
        bytes.length > 0 && bytes[bytes.length - 1] == '\r' ? bytes.length - 1 : bytes.length;
    return Optional.of(
        strict
            ? InputFiles.decode(ByteBuffer.wrap(bytes, 0, length), this::where)
            : new String(bytes, 0, length, StandardCharsets.UTF_8));
  }

  /** {@return the number of the last line that was read, from 1} */
  public long number() {
    return number;
  }

  /** {@return the file and the number of the last line, for errors} */
  public String where() {
    return path + ":" + number;
  }

  @Override
  public void close() {
    try {
      in.close();
    } catch (IOException e) {
      throw new InvalidInputException(path + ": cannot be read: " + e.getMessage(), e);
    }
  }
}
