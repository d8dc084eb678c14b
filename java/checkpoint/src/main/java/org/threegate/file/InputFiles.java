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
import java.util.function.Supplier;
import org.threegate.run.InvalidInputException;

/**
 * Reads small untrusted files, such as configurations and indexes. Only regular files up to a size
 * are read. A pipe therefore cannot block, a device cannot go on without end, and a sparse file
 * cannot fill the memory.
 *
 * <pre>{@code
 * String template = InputFiles.text(Path.of("base/chat_template.jinja"), 1 << 20);
 * }</pre>
 */
public final class InputFiles {
  private InputFiles() {}

  /**
   * {@return whether a path exists, even as a broken link or as something else than a file} Reading
   * such a path fails, so that it is not silently skipped.
   *
   * @param path path of the file
   */
  public static boolean isThere(Path path) {
    return Files.exists(path, LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * {@return the bytes of a file}
   *
   * @param path path of the file
   * @param most largest valid size in bytes
   * @throws InvalidInputException if the file does not exist, is not regular, or is larger
   */
  public static byte[] bytes(Path path, long most) {
    try (InputStream in = open(path, most)) {
      // The size is not trusted: files in /proc have none, and others grow.
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
   * {@return the text of a file in UTF-8}
   *
   * @param path path of the file
   * @param most largest valid size in bytes
   * @throws InvalidInputException as {@link #bytes} does, and if the text is not valid UTF-8
   */
  public static String text(Path path, long most) {
    return decode(ByteBuffer.wrap(bytes(path, most)), path::toString);
  }

  /**
   * Opens a stream over a file that is read in parts.
   *
   * @param path path of the file
   * @param most largest valid size in bytes when the file is opened
   * @return the stream, which the caller closes
   * @throws InvalidInputException if the file does not exist, is not regular, or is larger
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
   * Checks a file without opening it.
   *
   * @param path path of the file
   * @param most largest valid size in bytes
   * @return the size in bytes
   * @throws InvalidInputException if the file does not exist, is not regular, or is larger
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
        path + ": is larger than " + most + " bytes, the largest valid size");
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
   * @param bytes bytes of UTF-8
   * @param where source of the bytes, for errors
   * @return the text
   * @throws InvalidInputException if the bytes are not valid UTF-8
   */
  public static String decode(ByteBuffer bytes, Supplier<String> where) {
    try {
      return StandardCharsets.UTF_8.newDecoder().decode(bytes).toString();
    } catch (CharacterCodingException e) {
      throw new InvalidInputException(
          where.get() + ": not valid UTF-8; the file is damaged, fetch it again", e);
    }
  }
}
