package org.threegate.loading;

import java.io.IOException;
import java.io.InputStream;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.OpenOption;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;

/**
 * Unpacks libraries of jars into a trusted directory. A file lock lets one process at a time do so.
 * Files are synced before they get their names.
 */
final class Unpacker {
  static final String PARTIAL = ".partial";
  private static final int PART = 1 << 16;
  private static final long PAUSE_MILLIS = 20;
  private static final FileAttribute<Set<PosixFilePermission>> OWN =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

  private final Path directory;
  private int repaired;

  /** Checks an unpacked file. */
  @FunctionalInterface
  interface Check {
    boolean isRight(PackedFile file) throws IOException;
  }

  Unpacker(Path directory) {
    this.directory = directory;
  }

  /** Unpacks one library without digests; it is compared with its resource. */
  static Path unpack(Path directory, Class<?> owner, String resource) throws IOException {
    PackedFile file = PackedFile.withoutDigest(owner, resource);
    Unpacker unpacker = new Unpacker(directory);
    unpacker.repair(List.of(file), unpacker::isResource);
    return unpacker.path(file);
  }

  /** Returns where a file is unpacked. */
  Path path(PackedFile file) {
    return directory.resolve(file.name());
  }

  /** Returns how many files were unpacked. */
  int repaired() {
    return repaired;
  }

  /**
   * Unpacks the files that are missing, or that a check refuses.
   *
   * @throws IOException if a file cannot be written, or is still refused
   */
  void repair(List<PackedFile> files, Check check) throws IOException {
    List<PackedFile> wrong = wrong(files, check);
    if (wrong.isEmpty()) {
      return;
    }
    Path lock = directory.resolve("lock");
    if (Files.exists(lock, LinkOption.NOFOLLOW_LINKS)
        && !Files.isRegularFile(lock, LinkOption.NOFOLLOW_LINKS)) {
      throw new IOException(lock + " is a link or not a file; remove it");
    }
    try (FileChannel channel =
            FileChannel.open(
                lock,
                Set.<OpenOption>of(
                    StandardOpenOption.CREATE, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS),
                OWN);
        FileLock held = lock(channel)) {
      if (held.isValid()) {
        removePartial();
        // Another process may have unpacked them meanwhile.
        for (PackedFile file : wrong(wrong, check)) {
          unpack(file);
          repaired++;
        }
        TrustedDirectory.sync(directory);
      }
    }
    for (PackedFile file : wrong(wrong, check)) {
      throw new IOException(
          path(file)
              + " has another checksum than expected right after it was unpacked: the jar is damaged");
    }
  }

  private List<PackedFile> wrong(List<PackedFile> files, Check check) throws IOException {
    List<PackedFile> wrong = new ArrayList<>();
    for (PackedFile file : files) {
      if (!TrustedDirectory.isOwnFile(path(file)) || !check.isRight(file)) {
        wrong.add(file);
      }
    }
    return wrong;
  }

  /** Waits for other processes, and for other class loaders of this process. */
  private static FileLock lock(FileChannel channel) throws IOException {
    while (true) {
      try {
        return channel.lock();
      } catch (OverlappingFileLockException e) {
        try {
          Thread.sleep(PAUSE_MILLIS);
        } catch (InterruptedException interrupted) {
          Thread.currentThread().interrupt();
          throw new IOException("interrupted", interrupted);
        }
      }
    }
  }

  /** Removes what a killed process left. Only the holder of the lock may call this. */
  private void removePartial() throws IOException {
    try (DirectoryStream<Path> left = Files.newDirectoryStream(directory, "*" + PARTIAL)) {
      for (Path path : left) {
        Files.delete(path);
      }
    }
  }

  private void unpack(PackedFile file) throws IOException {
    Path temporary = directory.resolve(file.name() + PARTIAL);
    try (InputStream in = file.open();
        FileChannel out =
            FileChannel.open(
                temporary,
                Set.<OpenOption>of(StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE),
                OWN)) {
      in.transferTo(Channels.newOutputStream(out));
      out.force(true);
    }
    Files.move(temporary, path(file), StandardCopyOption.ATOMIC_MOVE);
  }

  /** Returns whether an unpacked file has the bytes of its resource. */
  boolean isResource(PackedFile file) throws IOException {
    byte[] expected = new byte[PART];
    byte[] found = new byte[PART];
    try (InputStream resource = file.open();
        InputStream own = Files.newInputStream(path(file), LinkOption.NOFOLLOW_LINKS)) {
      while (true) {
        int count = resource.readNBytes(expected, 0, PART);
        if (own.readNBytes(found, 0, PART) != count
            || !Arrays.equals(expected, 0, count, found, 0, count)) {
          return false;
        }
        if (count < PART) {
          return true;
        }
      }
    }
  }
}
