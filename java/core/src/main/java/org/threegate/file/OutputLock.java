package org.threegate.file;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ThreadLocalRandom;
import org.threegate.run.InvalidInputException;

/**
 * The right to write a file or a directory, for one writer at a time. The operating system holds
 * it, so that it ends with a process that is killed. The file {@code .NAME.lock} beside the output
 * stands for it, and goes when it is released. The thread that has it may take it again: what a
 * command took before its hours of work covers the library that writes at their end.
 *
 * <pre>{@code
 * try (OutputLock held = OutputLock.of(Path.of("report"))) {
 *   System.out.println("nobody else writes " + held.output());
 * }
 * }</pre>
 */
public final class OutputLock implements AutoCloseable {
  private static final int LARGEST_MARK = 1 << 12; // bytes, which any disk has left

  // A lock of POSIX is the process', and any close of the file ends it: a second writer in this
  // process may not even open it.
  private static final Map<Path, Thread> HELD = new ConcurrentHashMap<>();

  private final Path output;
  private final Path path;
  private final Optional<FileChannel> channel; // none: of who has it already

  private OutputLock(Path output, Path path, Optional<FileChannel> channel) {
    this.output = output;
    this.path = path;
    this.channel = channel;
  }

  /**
   * Takes the lock of an output.
   *
   * @throws InvalidInputException when another process or another thread has it
   * @throws IOException when the directory that the output lies in cannot be written
   */
  public static OutputLock of(Path output) throws IOException {
    return of(output, lockOf(output));
  }

  /**
   * Takes the lock of a run that ends with an output. It is another one than that of {@link #of},
   * which what writes in the run takes for itself: {@code .NAME.run.lock} beside the output, or
   * {@code .run.lock} in a directory whose parent cannot be written.
   *
   * @throws InvalidInputException when another run has it
   * @throws IOException when there is no place for it
   */
  public static OutputLock ofRun(Path output) throws IOException {
    Path target = output.toAbsolutePath().normalize();
    if (Files.exists(target)) {
      target = target.toRealPath(); // a link to it is it
    }
    Path parent = target.getParent().toRealPath();
    return of(
        output,
        !Files.isWritable(parent) && Files.isDirectory(target)
            ? target.resolve(".run.lock")
            : parent.resolve("." + target.getFileName() + ".run.lock"));
  }

  private static OutputLock of(Path output, Path path) throws IOException {
    Thread own = Thread.currentThread();
    Thread holder = HELD.putIfAbsent(path, own);
    if (holder == own) {
      return new OutputLock(output, path, Optional.empty());
    }
    if (holder != null) {
      throw refused(output);
    }
    boolean taken = false;
    try {
      OutputLock lock = new OutputLock(output, path, Optional.of(lock(output, path)));
      taken = true;
      return lock;
    } finally {
      if (!taken) {
        HELD.remove(path);
      }
    }
  }

  private static Path lockOf(Path output) throws IOException {
    Path target = output.toAbsolutePath().normalize();
    return target.getParent().toRealPath().resolve("." + target.getFileName() + ".lock");
  }

  private static FileChannel lock(Path output, Path path) throws IOException {
    while (true) {
      FileChannel channel =
          FileChannel.open(
              path, StandardOpenOption.CREATE, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS);
      boolean taken = false;
      try {
        if (channel.tryLock() == null) {
          throw refused(output);
        }
        taken = isStill(path, channel);
        if (taken) {
          return channel;
        }
      } finally {
        if (!taken) {
          channel.close(); // refused, or removed by its holder between the opening and the lock
        }
      }
    }
  }

  /** Whether the path still names the file that is locked: a size marks it, seen unopened. */
  private static boolean isStill(Path path, FileChannel channel) throws IOException {
    int mark = ThreadLocalRandom.current().nextInt(LARGEST_MARK);
    channel.truncate(0);
    channel.write(ByteBuffer.allocate(1), mark);
    try {
      return Files.size(path) == mark + 1L;
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  private static InvalidInputException refused(Path output) {
    return new InvalidInputException(
        output + ": another run is writing it; wait until it has ended, or name another output");
  }

  /** Whether this process is writing an output. */
  static boolean isHeld(Path output) throws IOException {
    return HELD.containsKey(lockOf(output));
  }

  /** What may be written, as it was named. */
  public Path output() {
    return output;
  }

  /** Releases the lock, unless it was taken in another's; a second time does nothing. */
  @Override
  public void close() throws IOException {
    if (channel.isPresent() && channel.get().isOpen()) {
      try {
        Files.deleteIfExists(path); // while it is locked: one made later is somebody else's
      } finally {
        try {
          channel.get().close();
        } finally {
          HELD.remove(path);
        }
      }
    }
  }
}
