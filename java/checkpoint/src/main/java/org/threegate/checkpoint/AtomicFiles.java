package org.threegate.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

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
   * Writes {@code path}, replacing what is there; leaves nothing behind when it fails.
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

  /** Where an output is written before it has its name; only who has its lock may. */
  public static Path temporary(Path output) {
    Path target = output.toAbsolutePath().normalize();
    return target.resolveSibling(PARTIAL + target.getFileName());
  }

  /** Syncs the files of a directory, and the directory. */
  public static void syncAll(Path directory) throws IOException {
    for (Path file : list(directory)) {
      if (Files.isRegularFile(file, LinkOption.NOFOLLOW_LINKS)) {
        try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE)) {
          channel.force(true);
        }
      }
    }
    sync(directory);
  }

  /** Names that were given or taken in a directory have to be on the disk, too. */
  public static void sync(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
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

  /** Removes a directory of files, if it is there. */
  public static void deleteDirectory(Path directory) throws IOException {
    if (Files.exists(directory)) {
      for (Path file : list(directory)) {
        Files.delete(file);
      }
      Files.delete(directory);
    }
  }
}
