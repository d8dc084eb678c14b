package org.threegate.file;

import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.AccessDeniedException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import org.threegate.run.InvalidInputException;

/**
 * Small files that somebody else wrote: configurations, indexes, notes beside a model. Only regular
 * files are read, and only up to a size, so that a pipe does not block, a device does not run on,
 * and a sparse file does not fill the memory.
 *
 * <pre>{@code
 * String template = InputFiles.text(Path.of("base/chat_template.jinja"), 1 << 20);
 * }</pre>
 */
public final class InputFiles {
  private InputFiles() {}

  /**
   * Whether a name is taken, by whatever: what is no regular file, or a link to nothing, is refused
   * where it is read, and not passed over.
   */
  public static boolean isThere(Path path) {
    return Files.exists(path, LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * The bytes of a file.
   *
   * @param most bytes that such a file may have
   * @throws InvalidInputException when there is no such file, it is not a regular one, or larger
   */
  public static byte[] bytes(Path path, long most) {
    try (InputStream in = open(path, most)) {
      // Sizes are not believed: files of /proc have none, others grow.
      byte[] bytes = in.readNBytes(Math.toIntExact(Math.min(most + 1, Integer.MAX_VALUE - 8)));
      if (bytes.length > most) {
        throw larger(path, most);
      }
      return bytes;
    } catch (IOException e) {
      throw unreadable(path, e);
    }
  }

  /**
   * The text of a file in UTF-8.
   *
   * @param most bytes that such a file may have
   * @throws InvalidInputException as {@link #bytes} does, and when it is not valid UTF-8
   */
  public static String text(Path path, long most) {
    return decode(ByteBuffer.wrap(bytes(path, most)), path.toString());
  }

  /**
   * A stream over a file, for those that are read piece by piece.
   *
   * @param most bytes that such a file may have when it is opened
   * @throws InvalidInputException when there is no such file, it is not a regular one, or larger
   */
  public static InputStream open(Path path, long most) {
    check(path, most);
    try {
      return new BufferedInputStream(Files.newInputStream(path));
    } catch (IOException e) {
      throw unreadable(path, e);
    }
  }

  /**
   * Refuses what is not a regular file of at most so many bytes, without opening it.
   *
   * @return its size in bytes
   * @throws InvalidInputException with the reason
   */
  public static long check(Path path, long most) {
    try {
      BasicFileAttributes attributes = Files.readAttributes(path, BasicFileAttributes.class);
      if (!attributes.isRegularFile()) {
        throw new InvalidInputException(
            path
                + ": "
                + (attributes.isDirectory() ? "a directory" : "a pipe or a device")
                + ", not a file; name a regular file");
      }
      if (attributes.size() > most) {
        throw larger(path, most);
      }
      return attributes.size();
    } catch (IOException e) {
      throw unreadable(path, e);
    }
  }

  private static InvalidInputException larger(Path path, long most) {
    return new InvalidInputException(
        path + ": larger than " + most + " bytes, which no such file is");
  }

  private static InvalidInputException unreadable(Path path, IOException e) {
    if (e instanceof NoSuchFileException) {
      return new InvalidInputException(path + ": no such file", e);
    }
    return new InvalidInputException(
        path
            + ": cannot be read: "
            + (e instanceof AccessDeniedException ? "permission denied" : e.getMessage()),
        e);
  }

  /**
   * Decodes UTF-8.
   *
   * @param where the bytes come from, for the message
   * @throws InvalidInputException when they are not valid UTF-8
   */
  public static String decode(ByteBuffer bytes, String where) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new InvalidInputException(
          where + ": not valid UTF-8; the file is damaged, fetch it again", e);
    }
  }
}
