package org.threegate.cli;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.util.Optional;
import org.threegate.file.OutputLock;
import org.threegate.run.InvalidInputException;

/** Locks output paths, creates their directories, and explains failures to write. */
final class OutputPath {
  /** Name of the file that marks a directory of Threegate results. */
  static final String MARK = ".threegate";

  private OutputPath() {}

  @FunctionalInterface
  interface Writing {
    void run() throws IOException;
  }

  /**
   * Writes an output while holding its lock, so that no other run writes it at the same time. A
   * failure to write becomes an {@link InvalidInputException} that names the path and the reason.
   * {@link OutputGuard} has checked the path before.
   */
  @SuppressWarnings("try")
  static void writing(Path out, Writing writing) {
    explained(
        out,
        () -> {
          try (OutputLock held = OutputLock.ofRun(out)) {
            writing.run();
          }
        });
  }

  /** Writes an output directory like {@link #writing}, and creates its parent directories first. */
  static void writingDirectory(Path out, Writing writing) {
    explained(out, () -> Files.createDirectories(out.toAbsolutePath().normalize().getParent()));
    writing(out, writing);
  }

  /** Creates a directory of results, and marks it as one before the first result is complete. */
  static void begin(Path directory) throws IOException {
    Files.createDirectories(directory);
    Path mark = directory.resolve(MARK);
    if (!Files.exists(mark, LinkOption.NOFOLLOW_LINKS)) {
      Files.writeString(
          mark, "This directory holds results of Threegate, which may replace them.\n");
    }
  }

  private static void explained(Path out, Writing writing) {
    try {
      writing.run();
    } catch (FileSystemException e) {
      throw unwritable(e.getFile(), reason(e), e);
    } catch (IOException e) {
      throw unwritable(out.toString(), e.getMessage(), e);
    }
  }

  private static InvalidInputException unwritable(String where, String reason, IOException e) {
    return new InvalidInputException(
        where + ": cannot be written: " + reason + "; check the path or choose another one", e);
  }

  static String reason(FileSystemException e) {
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
}
