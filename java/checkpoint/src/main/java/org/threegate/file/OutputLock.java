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
 * The right to write a file or a directory, for one writer at a time. It is a lock of the operating
 * system on the file {@code .NAME.lock} beside the output. The lock ends when the process is
 * killed, and the file is deleted when the lock is released. The thread that holds the lock may
 * take it again, so that a command can hold it while a library writes the output.
 *
 * <pre>{@code
 * try (OutputLock held = OutputLock.of(Path.of("report"))) {
 *   System.out.println("nobody else writes " + held.output());
 * }
 * }</pre>
 */
public final class OutputLock implements AutoCloseable {
  private static final int LARGEST_MARK = 1 << 12; // bytes

  // A POSIX lock belongs to the process and ends when any descriptor of the file is closed. A
  // second
  // writer in this process must therefore not open the file.
  private static final Map<Path, Thread> HELD = new ConcurrentHashMap<>();

  private final Path output;
  private final Path path;
  private final Optional<FileChannel> channel; // empty if the thread already held the lock

  private OutputLock(Path output, Path path, Optional<FileChannel> channel) {
    this.output = output;
    this.path = path;
    this.channel = channel;
  }

  /**
   * Takes the lock of an output.
   *
   * @param output path of the output
   * @return the lock
   * @throws InvalidInputException if another process or another thread holds it
   * @throws IOException if the parent directory of the output cannot be written
   */
  public static OutputLock of(Path output) throws IOException {
    return of(output, lockOf(output));
  }

  /**
   * Takes the lock of a run that ends with an output. It differs from that of {@link #of}, which
   * code within the run takes. Its file is {@code .NAME.run.lock} beside the output, or {@code
   * .run.lock} in a directory whose parent cannot be written.
   *
   * @param output path of the output
   * @return the lock
   * @throws InvalidInputException if another run holds it
   * @throws IOException if the lock file cannot be created
   */
  public static OutputLock ofRun(Path output) throws IOException {
    Path target = output.toAbsolutePath().normalize();
    if (Files.exists(target)) {
      target = target.toRealPath(); // a link and its target have the same lock
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
          channel.close(); // refused, or the holder deleted the file between open and lock
        }
      }
    }
  }

  /**
   * Returns whether the path still names the locked file. A random size marks the file, because
   * opening it again would end the lock.
   */
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

  /** Returns whether this process holds the lock of an output. */
  static boolean isHeld(Path output) throws IOException {
    return HELD.containsKey(lockOf(output));
  }

  /** {@return the output, as it was given} */
  public Path output() {
    return output;
  }

  /** Releases the lock, unless the thread held it before. A second call has no effect. */
  @Override
  public void close() throws IOException {
    if (channel.isPresent() && channel.get().isOpen()) {
      try {
        Files.deleteIfExists(path); // before the release: a later file belongs to another writer
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
