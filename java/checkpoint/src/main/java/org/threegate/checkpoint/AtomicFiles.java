package org.threegate.checkpoint;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;

/**
 * Files that are there whole or not at all: written under a temporary name, synced, renamed.
 *
 * <pre>{@code
 * AtomicFiles.write(
 *     Path.of("notes.txt"), out -> out.write(java.nio.ByteBuffer.wrap("done".getBytes())));
 * }</pre>
 */
public final class AtomicFiles {
  private AtomicFiles() {}

  /** Writes the contents of a file. */
  @FunctionalInterface
  public interface Contents {
    void writeTo(FileChannel out) throws IOException;
  }

  /** Writes {@code path}, replacing what is there; leaves nothing behind when it fails. */
  public static void write(Path path, Contents contents) throws IOException {
    Path temporary =
        path.resolveSibling(
            "." + path.getFileName() + "." + ProcessHandle.current().pid() + ".partial");
    try {
      try (FileChannel out =
          FileChannel.open(
              temporary,
              StandardOpenOption.CREATE,
              StandardOpenOption.TRUNCATE_EXISTING,
              StandardOpenOption.WRITE)) {
        contents.writeTo(out);
        out.force(true);
      }
      Files.move(
          temporary, path, StandardCopyOption.ATOMIC_MOVE, StandardCopyOption.REPLACE_EXISTING);
    } finally {
      Files.deleteIfExists(temporary);
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
