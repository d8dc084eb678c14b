package org.threegate.loading;

import java.io.IOException;
import java.nio.file.Path;

/**
 * The directory for unpacked native libraries. It is the first of these that is set:
 *
 * <ol>
 *   <li>{@code -Dthreegate.cache=DIR};
 *   <li>{@code $XDG_CACHE_HOME/threegate};
 *   <li>{@code ~/.cache/threegate}.
 * </ol>
 *
 * It must be an absolute path. Only this user and root can write to it or replace it. It is created
 * with mode 0700. A directory that others can write is refused with its name and a remedy. Links in
 * the path are followed.
 *
 * <pre>{@code
 * Path libraries = NativeCache.directory("javacpp"); // for a library that unpacks others
 * }</pre>
 */
public final class NativeCache {
  private static final String PROPERTY = "threegate.cache";
  private static final String ENVIRONMENT = "XDG_CACHE_HOME";

  private NativeCache() {}

  /**
   * {@return the path of the cache} The directory need not exist and is not checked.
   *
   * @throws IOException if the configured path is not absolute
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
   * {@return a directory in the cache that only this user can write} It is created if it does not
   * exist.
   *
   * @param name a plain file name
   * @throws IOException if another user can write to the cache, or could replace it
   */
  public static Path directory(String name) throws IOException {
    return TrustedDirectory.createWithin(TrustedDirectory.create(root()), name);
  }
}
