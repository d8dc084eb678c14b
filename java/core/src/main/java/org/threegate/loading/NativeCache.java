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
 * The directory of unpacked native libraries. It is the first that is given of
 *
 * <ol>
 *   <li>{@code -Dthreegate.cache=DIR};
 *   <li>{@code $XDG_CACHE_HOME/threegate};
 *   <li>{@code ~/.cache/threegate}.
 * </ol>
 *
 * It must be an absolute path. Nobody but this user, and root, can write to it, or put another
 * directory in its place: it is made with mode 0700, and what does not hold that is refused, with
 * the name of the directory and what to do. Links above it are followed, and it is where they lead.
 *
 * <pre>{@code
 * Path libraries = NativeCache.directory("javacpp"); // for a library that unpacks its own
 * }</pre>
 */
public final class NativeCache {
  private static final String PROPERTY = "threegate.cache";
  private static final String ENVIRONMENT = "XDG_CACHE_HOME";
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

  private NativeCache() {}

  /**
   * Where it is or will be; nothing is made, nor looked at.
   *
   * @throws IOException when what is given is no absolute path
   */
  public static Path root() throws IOException {
    String own = System.getProperty(PROPERTY, "");
    if (!own.isEmpty()) {
      return absolute("-D" + PROPERTY, own);
    }
    String cache = System.getenv(ENVIRONMENT);
    return cache == null || cache.isEmpty()
        ? absolute("the home directory", System.getProperty("user.home", ""))
            .resolve(".cache")
            .resolve("threegate")
        : absolute(ENVIRONMENT, cache).resolve("threegate");
  }

  private static Path absolute(String what, String given) throws IOException {
    Path path = Path.of(given);
    if (!path.isAbsolute()) {
      throw new IOException(
          what + " is \"" + given + "\": name an absolute path with -D" + PROPERTY + "=DIR");
    }
    return path.normalize();
  }

  /**
   * A directory in it that only this user can write; made where there is none.
   *
   * @param name a plain file name
   * @throws IOException when somebody else can write to the cache, or could replace it
   */
  public static Path directory(String name) throws IOException {
    Path root = made(root());
    Path directory = root.resolve(name);
    if (!root.equals(directory.normalize().getParent())) {
      throw new IOException("\"" + name + "\" is no plain name of a directory");
    }
    try {
      Files.createDirectory(directory, AS_OWN_DIRECTORY);
    } catch (FileAlreadyExistsException e) {
      // It is looked at below, whoever made it.
    }
    return requireOwn(directory);
  }

  /**
   * A library of another jar, unpacked into a directory of the cache and compared with the jar,
   * byte by byte, at each start: as it is with the kernel library.
   *
   * @param name of the directory
   * @param owner whose class loader has the resource
   * @return the file
   * @throws IOException as of {@link #directory}, or when there is no such resource
   */
  public static Path library(String name, Class<?> owner, String resource) throws IOException {
    return NativeFiles.unpacked(directory(name), owner, resource);
  }

  /** The root by its real path, every part of which was looked at. */
  private static Path made(Path root) throws IOException {
    Files.createDirectories(root, AS_OWN_DIRECTORY);
    Path real = root.toRealPath();
    for (Path above = real.getParent(); above != null; above = above.getParent()) {
      requireTrusted(above);
    }
    return requireOwn(real);
  }

  /** Nobody else can put another directory in the place of one within. */
  private static void requireTrusted(Path directory) throws IOException {
    State state = State.of(directory);
    boolean others =
        (state.mode & OTHERS_WRITE) != 0 || (state.mode & GROUP_WRITES) != 0 && !state.isGroupOwn();
    if (state.uid != 0 && state.uid != uid() || others && (state.mode & STICKY) == 0) {
      throw refused(directory, state);
    }
  }

  private static Path requireOwn(Path directory) throws IOException {
    State state = State.of(directory);
    if ((state.mode & KIND) != DIRECTORY
        || state.uid != uid()
        || (state.mode & (GROUP_WRITES | OTHERS_WRITE)) != 0) {
      throw refused(directory, state);
    }
    // Readable by others, as an earlier version made it.
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
            + " with -D"
            + PROPERTY
            + "=DIR");
  }

  /** Whether a file is one that only this user can have written. */
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

  /** What was renamed in it stays so when the machine fails. */
  static void sync(Path directory) throws IOException {
    try (FileChannel channel = FileChannel.open(directory, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }

  /** Of a file itself, not of what it links to. */
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

    /** A group of one, as many systems give each user. */
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
        throw new UnsatisfiedLinkError("cannot tell who runs this: " + e);
      }
    }
  }
}
