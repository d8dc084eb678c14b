package org.threegate.loading;

import java.io.IOException;
import java.nio.file.Path;

/**
 * Native libraries of other jars, unpacked into the {@link NativeCache} as the kernel library is.
 *
 * <pre>{@code
 * Path library = NativeLibraries.unpacked("example", Runtime.class, "/org/example/libexample.so");
 * }</pre>
 */
public final class NativeLibraries {
  private NativeLibraries() {}

  /**
   * Unpacks a library. An unpacked file is compared with the jar, byte by byte, at each start.
   *
   * @param name name of a directory in the cache
   * @param owner class whose loader has the resource
   * @param resource name of the resource
   * @return path of the library
   * @throws IOException as {@link NativeCache#directory} does, and if there is no such resource
   */
  public static Path unpacked(String name, Class<?> owner, String resource) throws IOException {
    return Unpacker.unpack(NativeCache.directory(name), owner, resource);
  }
}
