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

/** Where results go. */
final class OutputPath {
  /** In a directory that has results of threegate, whatever else it has. */
  static final String MARK = ".threegate";

  private OutputPath() {}

  @FunctionalInterface
  interface Writing {
    void run() throws IOException;
  }

  /**
   * Writes an output, which no other run writes meanwhile; says what is wrong when it cannot be
   * written. {@link OutputGuard} has looked before at what is there.
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

  /** The same of a directory; what is above it is created. */
  static void writingDirectory(Path out, Writing writing) {
    explained(out, () -> Files.createDirectories(out.toAbsolutePath().normalize().getParent()));
    writing(out, writing);
  }

  /** Creates a directory of results that are written one after another, and says whose it is. */
  static void begin(Path directory) throws IOException {
    Files.createDirectories(directory);
    Path mark = directory.resolve(MARK);
    if (!Files.exists(mark, LinkOption.NOFOLLOW_LINKS)) {
      Files.writeString(mark, "Results of threegate; a run may write here.\n");
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
        where + ": cannot be written: " + reason + "; free or name another place with --out", e);
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
