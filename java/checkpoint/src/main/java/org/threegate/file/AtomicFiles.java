package org.threegate.file;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.WritableByteChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFileAttributeView;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Remedy;

/**
 * Writes files and directories atomically: under a temporary name, which is synced and then
 * renamed; the parent directory is synced as well. The next run to the same path removes what a
 * killed run left.
 *
 * <pre>{@code
 * AtomicFiles.write(
 *     Path.of("notes.txt"), out -> out.write(java.nio.ByteBuffer.wrap("done".getBytes())));
 * }</pre>
 */
public final class AtomicFiles {
  private static final String PARTIAL = ".partial-";
  private static final Pattern LEFT = Pattern.compile("\\.partial-(.+)|\\.(.+)\\.lock");

  /** Bytes of a file from which the cache is avoided. Smaller ones are likely to be read soon. */
  private static final long LARGE = 64L << 20;

  private AtomicFiles() {}

  /** Writes the contents of a file. */
  @FunctionalInterface
  public interface Contents {
    /**
     * Writes the file.
     *
     * @param out channel of the new file
     * @throws IOException if the file cannot be written
     */
    void writeTo(FileChannel out) throws IOException;
  }

  /** Writes the contents of a file from front to back. */
  @FunctionalInterface
  public interface StreamedContents {
    /**
     * Writes the file.
     *
     * @param out receives the bytes of the file; each write takes all bytes of a buffer
     * @throws IOException if the file cannot be written
     */
    void writeTo(WritableByteChannel out) throws IOException;
  }

  /** Fills a directory with files. */
  @FunctionalInterface
  public interface Filling {
    /**
     * Writes the files.
     *
     * @param directory the new, empty directory
     * @throws IOException if a file cannot be written
     */
    void fill(Path directory) throws IOException;
  }

  /**
   * Writes a file and replaces an existing one. Nothing is left if this fails. The new file gets
   * the permissions of the old one. A link is replaced by a file, and its target stays unchanged.
   *
   * @param path path of the file
   * @param contents writes the file
   * @throws InvalidInputException if another run is writing the file
   * @throws IOException if the file cannot be written
   */
  public static void write(Path path, Contents contents) throws IOException {
    writeAs(
        path,
        temporary -> {
          try (FileChannel out = FileChannel.open(temporary, StandardOpenOption.WRITE)) {
            contents.writeTo(out);
            out.force(true);
          }
        });
  }

  /**
   * Writes a file as {@link #write(Path, Contents)} does. A large file is written past the system's
   * cache of pages where the file system can do that, which takes a tenth of the processor time.
   *
   * @param path path of the file
   * @param bytes about how many bytes it will have
   * @param contents writes the file
   * @throws InvalidInputException if another run is writing the file
   * @throws IOException if the file cannot be written
   */
  public static void write(Path path, long bytes, StreamedContents contents) throws IOException {
    if (bytes < LARGE) {
      write(path, contents::writeTo);
      return;
    }
    writeAs(
        path,
        temporary -> {
          try (DirectOutput out = DirectOutput.open(temporary)) {
            contents.writeTo(out);
            out.finish();
          }
        });
  }

  /** Replaces a file by one that is written under a temporary name. */
  private static void writeAs(Path path, Filling filling) throws IOException {
    try (OutputLock held = OutputLock.of(path)) {
      Path temporary = temporary(held.output());
      Files.deleteIfExists(temporary);
      try {
        Files.createFile(temporary);
        keepMode(path, temporary);
        filling.fill(temporary);
        Files.move(
            temporary, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        sync(temporary.getParent());
      } finally {
        Files.deleteIfExists(temporary);
      }
    }
  }

  /**
   * Creates a directory with files.
   *
   * @param directory a path that does not exist
   * @param filling receives the temporary directory, which is then renamed
   * @throws InvalidInputException if the directory exists, or another run is writing it
   * @throws IOException if the directory cannot be written
   */
  public static void writeDirectory(Path directory, Filling filling) throws IOException {
    try (OutputLock held = OutputLock.of(directory)) {
      if (Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
        throw new InvalidInputException(
            directory + ": exists already", Remedy.CHOOSE_NEW_DIRECTORY);
      }
      Path temporary = temporary(held.output());
      deleteDirectory(temporary);
      try {
        Files.createDirectory(temporary);
        filling.fill(temporary);
        syncAll(temporary);
        Files.move(temporary, directory, StandardCopyOption.ATOMIC_MOVE);
        sync(temporary.getParent());
      } finally {
        deleteDirectory(temporary);
      }
    }
  }

  /**
   * Creates a directory with files, or replaces files in an existing one. In an existing directory
   * the files are renamed one after the other.
   *
   * @param directory path of the directory
   * @param last name of the file that is replaced last, which readers open first
   * @param filling fills the directory
   * @throws InvalidInputException if another run is writing the directory
   * @throws IOException if the directory cannot be written
   */
  public static void updateDirectory(Path directory, String last, Filling filling)
      throws IOException {
    if (!Files.exists(directory)) {
      writeDirectory(directory, filling);
      return;
    }
    try (OutputLock held = OutputLock.of(directory)) {
      Path temporary = temporary(held.output());
      deleteDirectory(temporary);
      try {
        Files.createDirectory(temporary);
        filling.fill(temporary);
        syncAll(temporary);
        for (Path file : list(temporary)) {
          if (!file.endsWith(last)) {
            replace(file, directory);
          }
        }
        sync(directory);
        replace(temporary.resolve(last), directory);
        sync(directory);
      } finally {
        deleteDirectory(temporary);
      }
    }
  }

  private static void replace(Path file, Path directory) throws IOException {
    Files.move(
        file,
        directory.resolve(file.getFileName().toString()),
        StandardCopyOption.ATOMIC_MOVE,
        StandardCopyOption.REPLACE_EXISTING);
  }

  private static void keepMode(Path from, Path to) throws IOException {
    PosixFileAttributeView mode =
        Files.getFileAttributeView(from, PosixFileAttributeView.class, LinkOption.NOFOLLOW_LINKS);
    if (mode != null && Files.isRegularFile(from, LinkOption.NOFOLLOW_LINKS)) {
      Files.setPosixFilePermissions(to, mode.readAttributes().permissions());
    }
  }

  /**
   * {@return the temporary path of an output} Only the holder of the output's lock may write it.
   *
   * @param output path of the output, on whose disk the file is
   */
  public static Path temporary(Path output) {
    Path target = output.toAbsolutePath().normalize();
    return target.resolveSibling(PARTIAL + target.getFileName());
  }

  /**
   * Opens a temporary file without a name, on the disk of an output. It is deleted when it is
   * closed or the process ends. Only the holder of the output's lock may call this, before the
   * output is written.
   *
   * @param output path of the output, on whose disk the file is
   * @return the open file
   * @throws IOException if the file system fails
   */
  public static FileChannel scratch(Path output) throws IOException {
    Path name = temporary(output);
    Files.deleteIfExists(name);
    FileChannel file =
        FileChannel.open(
            name, StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE);
    try {
      Files.delete(name);
      return file;
    } catch (IOException e) {
      file.close();
      throw e;
    }
  }

  /**
   * Removes what killed runs left in a directory. Outputs that are being written stay.
   *
   * @param directory path of the directory
   * @throws IOException if the file system fails
   */
  public static void removeLeftovers(Path directory) throws IOException {
    Set<String> names = new TreeSet<>();
    for (Path file : list(directory)) {
      Matcher left = LEFT.matcher(file.getFileName().toString());
      if (left.matches()) {
        names.add(left.group(1) == null ? left.group(2) : left.group(1));
      }
    }
    for (String name : names) {
      Path output = directory.resolve(name);
      if (!OutputLock.isHeld(output)) {
        try (OutputLock held = OutputLock.of(output)) {
          deleteDirectory(temporary(held.output()));
        } catch (InvalidInputException e) {
          continue; // another run is writing it
        }
      }
    }
  }

  /**
   * Syncs the files of a directory, and the directory.
   *
   * @param directory path of the directory
   * @throws IOException if the file system fails
   */
  static void syncAll(Path directory) throws IOException {
    for (Path file : list(directory)) {
      if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        sync(file);
      }
    }
    sync(directory);
  }

  /**
   * Syncs a file, or the entries of a directory.
   *
   * @param path path of the file or directory
   * @throws IOException if the file system fails
   */
  public static void sync(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /**
   * Lists the entries of a directory.
   *
   * @param directory path of the directory
   * @return the entries
   * @throws IOException if the file system fails
   */
  public static List<Path> list(Path directory) throws IOException {
    List<Path> files = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      entries.forEach(files::add);
    }
    return files;
  }

  /**
   * Deletes a file or a directory with its contents, if it exists. Links are not followed.
   *
   * @param directory path of the directory
   * @throws IOException if the file system fails
   */
  public static void deleteDirectory(Path directory) throws IOException {
    if (Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)) {
      for (Path file : list(directory)) {
        deleteDirectory(file);
      }
    }
    Files.deleteIfExists(directory);
  }
}
