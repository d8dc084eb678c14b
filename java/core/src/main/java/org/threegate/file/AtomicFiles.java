package org.threegate.file;

import java.io.IOException;
import java.nio.channels.FileChannel;
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

/**
 * Files and directories that are there whole or not at all: written under a temporary name, synced,
 * renamed, and the directory that they lie in synced, too. What a killed run left behind goes with
 * the next one to the same place.
 *
 * <pre>{@code
 * AtomicFiles.write(
 *     Path.of("notes.txt"), out -> out.write(java.nio.ByteBuffer.wrap("done".getBytes())));
 * }</pre>
 */
public final class AtomicFiles {
  private static final String PARTIAL = ".partial-";
  private static final Pattern LEFT = Pattern.compile("\\.partial-(.+)|\\.(.+)\\.lock");

  private AtomicFiles() {}

  /** Writes the contents of a file. */
  @FunctionalInterface
  public interface Contents {
    void writeTo(FileChannel out) throws IOException;
  }

  /** Fills a directory with files. */
  @FunctionalInterface
  public interface Filling {
    void fill(Path directory) throws IOException;
  }

  /**
   * Writes {@code path}, replacing what is there; leaves nothing behind when it fails. A file that
   * is replaced hands its mode on. A link is replaced by a file: what it led to stays as it is.
   *
   * @throws InvalidInputException when another run is writing it
   */
  public static void write(Path path, Contents contents) throws IOException {
    try (OutputLock held = OutputLock.of(path)) {
      Path temporary = temporary(held.output());
      Files.deleteIfExists(temporary);
      try {
        try (FileChannel out =
            FileChannel.open(temporary, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
          keepMode(path, temporary);
          contents.writeTo(out);
          out.force(true);
        }
        Files.move(
            temporary, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
        sync(temporary.getParent());
      } finally {
        Files.deleteIfExists(temporary);
      }
    }
  }

  /**
   * Makes a directory of files.
   *
   * @param directory that is not there yet
   * @param filling given the temporary directory that gets the name
   * @throws InvalidInputException when it is there, or another run is writing it
   */
  public static void writeDirectory(Path directory, Filling filling) throws IOException {
    try (OutputLock held = OutputLock.of(directory)) {
      if (Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
        throw new InvalidInputException(
            directory + ": exists already; name a new directory with --out");
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
   * Makes a directory of files, or replaces files of one. Where there is one already, files take
   * their names one after the other.
   *
   * @param last the file that is replaced last, from which readers begin
   * @throws InvalidInputException when another run is writing it
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

  /** Where an output is written before it has its name; only who has its lock may. */
  public static Path temporary(Path output) {
    Path target = output.toAbsolutePath().normalize();
    return target.resolveSibling(PARTIAL + target.getFileName());
  }

  /**
   * A file without a name on the disk of an output, for what is known before it can be written; it
   * is gone when it is closed, or its process ends. Only who has the lock of the output may, before
   * it is written.
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
   * Removes what killed runs left in a directory that nobody else writes to. What is being written
   * stays.
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
          continue; // somebody is writing it
        }
      }
    }
  }

  /** Syncs the files of a directory, and the directory. */
  public static void syncAll(Path directory) throws IOException {
    for (Path file : list(directory)) {
      if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        sync(file);
      }
    }
    sync(directory);
  }

  /** Syncs a file, or the names that were given or taken in a directory. */
  public static void sync(Path path) throws IOException {
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /** What a directory holds. */
  public static List<Path> list(Path directory) throws IOException {
    List<Path> files = new ArrayList<>();
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(directory)) {
      entries.forEach(files::add);
    }
    return files;
  }

  /** Removes a directory and what is in it, if it is there; of a link, the link. */
  public static void deleteDirectory(Path directory) throws IOException {
    if (Files.isDirectory(directory, LinkOption.NOFOLLOW_LINKS)) {
      for (Path file : list(directory)) {
        deleteDirectory(file);
      }
    }
    Files.deleteIfExists(directory);
  }
}
