package org.threegate.cli;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;
import org.threegate.checkpoint.InvalidInputException;

/** Where results go. */
final class OutputPath {
  private OutputPath() {}

  @FunctionalInterface
  interface Writing {
    void run() throws IOException;
  }

  /** Says what is wrong with {@code out} when it cannot be written. */
  static void writing(Path out, Writing writing) {
    try {
      writing.run();
    } catch (FileSystemException e) {
      throw new InvalidInputException(
          e.getFile()
              + ": cannot be written: "
              + reason(e)
              + "; free or name another place with --out",
          e);
    } catch (IOException e) {
      throw new InvalidInputException(
          out
              + ": cannot be written: "
              + e.getMessage()
              + "; free or name another place with --out",
          e);
    }
  }

  private static String reason(FileSystemException e) {
    if (e instanceof FileAlreadyExistsException) {
      return "it is not a directory";
    }
    if (e instanceof AccessDeniedException) {
      return "permission denied";
    }
    if (e instanceof NoSuchFileException) {
      return "no such directory";
    }
    return Optional.ofNullable(e.getReason()).orElse("the file system refuses it");
  }

  /** Refuses a directory that cannot be written; creates what is above it. */
  static void prepareDirectory(Path out) throws IOException {
    Path target = out.toAbsolutePath().normalize();
    if (target.getParent() == null) {
      throw new InvalidInputException(
          out + ": is the root of a file system; name a directory in it with --out");
    }
    if (Files.exists(target) && !Files.isDirectory(target)) {
      throw new InvalidInputException(out + ": is a file; name a directory with --out");
    }
    if (Files.exists(target) && !Files.isWritable(target)) {
      throw new InvalidInputException(
          out + ": cannot be written to; name another directory with --out");
    }
    Files.createDirectories(target.getParent());
  }
}
