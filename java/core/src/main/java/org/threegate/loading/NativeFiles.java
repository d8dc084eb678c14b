package org.threegate.loading;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Puts the native libraries into one directory. In this order:
 *
 * <ol>
 *   <li>{@code -Dthreegate.library.path=DIR}: DIR is used as it is;
 *   <li>the resources of the natives jar, unpacked once into {@code $XDG_CACHE_HOME/threegate/HASH}
 *       (or {@code ~/.cache/threegate/HASH}), HASH over the contents. Not the temporary directory,
 *       which is often mounted noexec.
 * </ol>
 *
 * Nothing is ever downloaded.
 */
final class NativeFiles {
  static final String LIBRARY = "libthreegate.so.1";
  private static final String PATH_PROPERTY = "threegate.library.path";
  private static final String PLATFORM = "linux-x86_64";
  private static final String RESOURCES = "/org/threegate/natives/" + PLATFORM + "/";
  // Of a jar of its own, which need not be there.
  private static final String CUDA_RESOURCE =
      "/org/threegate/natives/" + PLATFORM + "-cuda13/libthreegate_cuda.so.1";
  private static final List<String> LIBRARIES =
      List.of("libquadmath.so.0", "libgfortran.so.5", "libopenblas.so.0", LIBRARY);

  private NativeFiles() {}

  /** The directory for libraries of {@code shimResource} and the common ones. */
  static Path directory(Class<?> provider, String shimResource) {
    String override = System.getProperty(PATH_PROPERTY, "");
    if (!override.isEmpty()) {
      Path directory = Path.of(override);
      if (!Files.isRegularFile(directory.resolve(LIBRARY))) {
        throw new UnsatisfiedLinkError(
            "-D" + PATH_PROPERTY + "=" + override + ": no " + LIBRARY + " there");
      }
      return directory;
    }
    Map<String, Class<?>> resources = new LinkedHashMap<>();
    LIBRARIES.forEach(name -> resources.put(RESOURCES + name, NativeFiles.class));
    if (NativeFiles.class.getResource(CUDA_RESOURCE) != null) {
      resources.put(CUDA_RESOURCE, NativeFiles.class);
    }
    if (!shimResource.isEmpty()) {
      resources.put(shimResource, provider);
    }
    try {
      return unpack(resources);
    } catch (IOException e) {
      throw new UnsatisfiedLinkError(
          "cannot unpack the native library: "
              + e
              + "; set XDG_CACHE_HOME to a writable directory");
    }
  }

  private static Path unpack(Map<String, Class<?>> resources) throws IOException {
    MessageDigest digest = sha256();
    for (Map.Entry<String, Class<?>> resource : resources.entrySet()) {
      digest.update(
          read(resource.getValue(), resource.getKey() + ".sha256")
              .getBytes(StandardCharsets.US_ASCII));
    }
    String hash = HexFormat.of().formatHex(digest.digest(), 0, 12);
    Path directory = cacheRoot().resolve(hash);
    Path complete = directory.resolve("complete");
    if (Files.exists(complete)) {
      return directory;
    }
    Files.createDirectories(directory);
    try (FileChannel lock =
            FileChannel.open(
                directory.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
        var held = lock.lock()) {
      if (held.isValid() && !Files.exists(complete)) {
        for (Map.Entry<String, Class<?>> resource : resources.entrySet()) {
          unpackOne(resource.getValue(), resource.getKey(), directory);
        }
        Files.createFile(complete);
      }
    }
    return directory;
  }

  private static void unpackOne(Class<?> owner, String resource, Path directory)
      throws IOException {
    String name = resource.substring(resource.lastIndexOf('/') + 1);
    Path temporary = directory.resolve(name + ".partial");
    try (InputStream in = open(owner, resource)) {
      Files.copy(in, temporary, StandardCopyOption.REPLACE_EXISTING);
    }
    if (!temporary.toFile().setExecutable(true, true)) {
      throw new IOException("cannot make " + temporary + " executable");
    }
    Files.move(temporary, directory.resolve(name), StandardCopyOption.ATOMIC_MOVE);
  }

  private static Path cacheRoot() {
    String cache = System.getenv("XDG_CACHE_HOME");
    Path root =
        cache == null || cache.isEmpty()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(cache);
    return root.resolve("threegate");
  }

  private static InputStream open(Class<?> owner, String resource) throws IOException {
    InputStream in = owner.getResourceAsStream(resource);
    if (in == null) {
      throw new IOException(
          resource + " is not on the class path (is the natives jar for " + PLATFORM + " there?)");
    }
    return in;
  }

  private static String read(Class<?> owner, String resource) throws IOException {
    try (InputStream in = open(owner, resource)) {
      return new String(in.readAllBytes(), StandardCharsets.US_ASCII).strip();
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new UncheckedIOException(new IOException("every JDK has SHA-256", e));
    }
  }

  /** What to do about a reason of the operating system, where it is known. */
  static String hint(String reason) {
    List<String> hints = new ArrayList<>();
    if (reason.contains("failed to map segment") || reason.contains("Operation not permitted")) {
      hints.add("the cache directory may be mounted noexec: set XDG_CACHE_HOME elsewhere");
    }
    if (reason.contains("GLIBC_")) {
      hints.add("glibc 2.36 (Debian 12) or newer is needed");
    }
    return hints.isEmpty() ? "" : "; " + String.join("; ", hints);
  }
}
