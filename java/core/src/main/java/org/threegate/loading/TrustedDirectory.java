package org.threegate.loading;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileAttribute;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Map;
import java.util.Set;

/**
 * Directories and files that no other user can write or replace, except root. Libraries are loaded
 * from such directories only.
 */
final class TrustedDirectory {
  private static final int STICKY = 01000;
  private static final int GROUP_WRITES = 0020;
  private static final int OTHERS_WRITE = 0002;
  private static final int KIND = 0170000;
  private static final int DIRECTORY = 0040000;
  private static final int REGULAR = 0100000;
  private static final int PERMISSIONS = 07777;
  private static final int OWN_FILE = 0600;
  private static final Set<PosixFilePermission> OWN_DIRECTORY =
      PosixFilePermissions.fromString("rwx------");
  private static final FileAttribute<Set<PosixFilePermission>> AS_OWN_DIRECTORY =
      PosixFilePermissions.asFileAttribute(OWN_DIRECTORY);

  private TrustedDirectory() {}

  /**
   * Creates a directory and its parents, if they do not exist, and checks all of them.
   *
   * @return the real path of the directory
   * @throws IOException if another user can write to the directory, or could replace it
   */
  static Path create(Path root) throws IOException {
    Files.createDirectories(root, AS_OWN_DIRECTORY);
    Path real = root.toRealPath();
    for (Path above = real.getParent(); above != null; above = above.getParent()) {
      requireTrusted(above);
    }
    return requireOwn(real);
  }

  /** Checks that no other user can replace a directory within this one. */
  private static void requireTrusted(Path directory) throws IOException {
    State state = State.of(directory);
    boolean others =
        (state.mode & OTHERS_WRITE) != 0 || (state.mode & GROUP_WRITES) != 0 && !state.isGroupOwn();
    if (state.uid != 0 && state.uid != uid() || others && (state.mode & STICKY) == 0) {
      throw refused(directory, state);
    }
  }

  /**
   * Creates a directory in a trusted one, if it does not exist, and checks it.
   *
   * @throws IOException if another user can write to it
   */
  static Path createWithin(Path parent, String name) throws IOException {
    Path directory = parent.resolve(name);
    if (!parent.equals(directory.normalize().getParent())) {
      throw new IOException("\"" + name + "\" is not a plain name of a directory");
    }
    try {
      Files.createDirectory(directory, AS_OWN_DIRECTORY);
    } catch (FileAlreadyExistsException e) {
      // It is checked below, whoever created it.
    }
    return requireOwn(directory);
  }

  private static Path requireOwn(Path directory) throws IOException {
    State state = State.of(directory);
    if ((state.mode & KIND) != DIRECTORY
        || state.uid != uid()
        || (state.mode & (GROUP_WRITES | OTHERS_WRITE)) != 0) {
      throw refused(directory, state);
    }
    // An earlier version made it readable by others.
    if ((state.mode & PERMISSIONS) != 0700) {
      Files.setPosixFilePermissions(directory, OWN_DIRECTORY);
    }
    return directory;
  }

  private static IOException refused(Path path, State state) {
    String what =
        switch (state.mode & KIND) {
          case DIRECTORY ->
              state.uid != uid() && state.uid != 0
                  ? "belongs to the user with number " + state.uid
                  : "can be written by others (mode %o)".formatted(state.mode & PERMISSIONS);
          default -> "is a link or a file, not a directory";
        };
    return new IOException(
        path
            + " "
            + what
            + ", so that libraries in it cannot be trusted; remove it, or name another directory"
            + " with -Dthreegate.cache=DIR");
  }

  /** Returns whether a file exists and only this user can have written it. */
  static boolean isOwnFile(Path file) throws IOException {
    try {
      State state = State.of(file);
      return (state.mode & KIND) == REGULAR
          && state.uid == uid()
          && (state.mode & PERMISSIONS) == OWN_FILE
          && state.links == 1;
    } catch (NoSuchFileException e) {
      return false;
    }
  }

  /** Syncs the entries of a directory. */
  static void sync(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /** Attributes of a path; links are not followed. */
  private record State(int mode, int uid, int links, String owner, String group) {
    static State of(Path path) throws IOException {
      Map<String, Object> all =
          Files.readAttributes(path, "unix:mode,uid,nlink,owner,group", LinkOption.NOFOLLOW_LINKS);
      return new State(
          (int) all.get("mode"),
          (int) all.get("uid"),
          (int) all.get("nlink"),
          all.get("owner").toString(),
          all.get("group").toString());
    }

    /** Returns whether the group has the name of the owner, so that it has no other member. */
    boolean isGroupOwn() {
      return group.equals(owner);
    }
  }

  private static int uid() {
    return Own.UID;
  }

  private static final class Own {
    static final int UID = of();

    private static int of() {
      try {
        return (int) Files.getAttribute(Path.of("/proc/self"), "unix:uid");
      } catch (IOException e) {
        throw new UnsatisfiedLinkError("cannot find the user of this process: " + e);
      }
    }
  }
}
