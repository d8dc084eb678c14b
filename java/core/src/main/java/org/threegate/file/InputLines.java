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
 * The lines of a file that somebody else wrote, one after another: the file may be large, a line
 * may not. Only regular files are read.
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
   * @param longest line, in bytes
   * @throws InvalidInputException when there is no such file, it is not a regular one, or larger
   *     than 64 GiB
   */
  public static InputLines open(Path path, int longest) {
    return new InputLines(path, longest, true);
  }

  /** The same of a file that a killed run left: what is no UTF-8 in it has a sign in its place. */
  public static InputLines ofRun(Path path, int longest) {
    return new InputLines(path, longest, false);
  }

  /**
   * The next line without its end, or nothing behind the last one.
   *
   * @throws InvalidInputException when it is too long, no UTF-8, or cannot be read
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
              where() + ": longer than " + longest + " bytes, which no such line is");
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
            ? InputFiles.decode(ByteBuffer.wrap(bytes, 0, length), where())
            : new String(bytes, 0, length, StandardCharsets.UTF_8));
  }

  /** Of the last line that was read, from 1. */
  public long number() {
    return number;
  }

  /** The file and the line, as an error names them. */
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
