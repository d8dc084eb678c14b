package org.threegate.loading;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.channels.Channels;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.charset.StandardCharsets;
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
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.threegate.spi.KernelBinding;

/**
 * Puts the native libraries into one directory. In this order:
 *
 * <ol>
 *   <li>{@code -Dthreegate.library.path=DIR}: DIR is used as it is, and refused only when everybody
 *       can write to it;
 *   <li>the resources of the natives jar, unpacked once into a directory of the {@link NativeCache}
 *       that is named by their contents. Not the temporary directory, which is often mounted
 *       noexec.
 * </ol>
 *
 * <p>What was unpacked is verified at every start, before it is loaded; a file that differs, or
 * that somebody else could have written, is unpacked again. The kernel library (2 MB) is compared
 * with the jar, byte by byte: a JVM that has just started hashes 50 MB a second. The others (40
 * MB), which the kernel library loads when it needs them, are hashed by that library in parts, side
 * by side. Files are synced before they have their names. Nothing is ever downloaded.
 */
final class NativeFiles {
  static final String LIBRARY = "libthreegate.so.1";
  private static final String PATH_PROPERTY = "threegate.library.path";
  private static final String PLATFORM = "linux-x86_64";
  private static final String RESOURCES = "/org/threegate/natives/" + PLATFORM + "/";
  // Of a jar of its own, which need not be there.
  private static final String CUDA_RESOURCE =
      "/org/threegate/natives/" + PLATFORM + "-cuda13/libthreegate_cuda.so.1";
  private static final List<String> LATER =
      List.of("libquadmath.so.0", "libgfortran.so.5", "libopenblas.so.0");
  private static final String PARTS = ".parts.sha256";
  private static final String PARTIAL = ".partial";
  private static final int HASH_BYTES = 12;
  private static final int PART = 1 << 16;
  private static final long PAUSE_MILLIS = 20;
  private static final FileAttribute<Set<PosixFilePermission>> OWN =
      PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------"));

  private final Path directory;
  private final List<Unpacked> first; // loaded by the JVM
  private final List<Unpacked> later; // loaded by those, when they need them
  private int repaired;

  /** A file, where it comes from, and SHA-256 of its parts in hexadecimal digits. */
  private record Unpacked(String name, Class<?> owner, String resource, String sha256) {
    static Unpacked of(Class<?> owner, String resource) throws IOException {
      return of(owner, resource, PARTS);
    }

    /** With its digest as a whole. */
    static Unpacked of(Class<?> owner, String resource, String digest) throws IOException {
      return new Unpacked(nameOf(resource), owner, resource, read(owner, resource + digest));
    }
  }

  private NativeFiles(Path directory, List<Unpacked> first, List<Unpacked> later) {
    this.directory = directory;
    this.first = first;
    this.later = later;
  }

  /**
   * The libraries of {@code shimResource} and the common ones. What is loaded first is there and
   * verified; the rest is when {@link #verify} has returned.
   */
  static NativeFiles of(Class<?> provider, String shimResource) {
    String override = System.getProperty(PATH_PROPERTY, "");
    try {
      if (!override.isEmpty()) {
        return new NativeFiles(overriding(override), List.of(), List.of());
      }
      List<Unpacked> first = new ArrayList<>();
      List<Unpacked> later = new ArrayList<>();
      for (String name : LATER) {
        later.add(Unpacked.of(NativeFiles.class, RESOURCES + name));
      }
      first.add(Unpacked.of(NativeFiles.class, RESOURCES + LIBRARY));
      if (NativeFiles.class.getResource(CUDA_RESOURCE) != null) {
        later.add(Unpacked.of(NativeFiles.class, CUDA_RESOURCE));
      }
      if (!shimResource.isEmpty()) {
        first.add(Unpacked.of(provider, shimResource, ".sha256"));
      }
      NativeFiles files = new NativeFiles(NativeCache.directory(hash(first, later)), first, later);
      files.repair(files.first, files::isResource);
      return files;
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** A library without a checksum beside it. */
  static Path unpacked(Path directory, Class<?> owner, String resource) throws IOException {
    Unpacked file = new Unpacked(nameOf(resource), owner, resource, "");
    NativeFiles files = new NativeFiles(directory, List.of(file), List.of());
    files.repair(files.first, files::isResource);
    return files.path(file);
  }

  private static String nameOf(String resource) {
    return resource.substring(resource.lastIndexOf('/') + 1);
  }

  private static UnsatisfiedLinkError failed(IOException e) {
    return new UnsatisfiedLinkError(
        "cannot unpack the native library: "
            + (e.getClass() == IOException.class ? e.getMessage() : e)
            + "; -Dthreegate.cache=DIR names another directory");
  }

  Path directory() {
    return directory;
  }

  /** For people. */
  String state() {
    return directory
        + (first.isEmpty()
            ? ", given by -D" + PATH_PROPERTY + " and not verified"
            : ", of this user alone, verified"
                + (repaired == 0 ? "" : ", " + repaired + " unpacked now"));
  }

  private static Path overriding(String given) throws IOException {
    Path directory = Path.of(given).toAbsolutePath();
    if (!Files.isRegularFile(directory.resolve(LIBRARY))) {
      throw new UnsatisfiedLinkError(
          "-D" + PATH_PROPERTY + "=" + given + ": no " + LIBRARY + " there");
    }
    Path real = directory.toRealPath();
    if (Files.getPosixFilePermissions(real).contains(PosixFilePermission.OTHERS_WRITE)
        || Files.getPosixFilePermissions(real.resolve(LIBRARY))
            .contains(PosixFilePermission.OTHERS_WRITE)) {
      throw new UnsatisfiedLinkError(
          "-D"
              + PATH_PROPERTY
              + "="
              + given
              + ": everybody can write to it; chmod o-w the directory and its files");
    }
    return real;
  }

  private static String hash(List<Unpacked> first, List<Unpacked> later) {
    MessageDigest digest = sha256();
    for (List<Unpacked> files : List.of(later, first)) {
      files.forEach(file -> digest.update(file.sha256().getBytes(StandardCharsets.US_ASCII)));
    }
    return HexFormat.of().formatHex(digest.digest(), 0, HASH_BYTES);
  }

  /** Verifies the libraries that are loaded later. */
  void verify(KernelBinding binding) {
    if (later.isEmpty()) {
      return;
    }
    try {
      List<Path> there = new ArrayList<>();
      for (Unpacked file : later) {
        if (NativeCache.isOwnFile(path(file))) {
          there.add(path(file));
        }
      }
      // All at once, side by side; what is unpacked then, one by one.
      Map<Path, String> all = NativeDigests.of(binding, there);
      repair(
          later,
          file -> {
            String known = all.remove(path(file));
            if (known == null) {
              known = NativeDigests.of(binding, List.of(path(file))).get(path(file));
            }
            return known == null ? isResource(file) : known.strip().equals(file.sha256());
          });
    } catch (IOException e) {
      throw failed(e);
    }
  }

  private Path path(Unpacked file) {
    return directory.resolve(file.name());
  }

  @FunctionalInterface
  private interface Check {
    boolean isRight(Unpacked file) throws IOException;
  }

  /** Unpacks the files that are not there as they are in the jar. */
  private void repair(List<Unpacked> files, Check check) throws IOException {
    List<Unpacked> wrong = wrong(files, check);
    if (wrong.isEmpty()) {
      return;
    }
    Path lock = directory.resolve("lock");
    if (Files.exists(lock, LinkOption.NOFOLLOW_LINKS)
        && !Files.isRegularFile(lock, LinkOption.NOFOLLOW_LINKS)) {
      throw new IOException(lock + " is a link or no file; remove it");
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
        // Another process may have done it meanwhile.
        for (Unpacked file : wrong(wrong, check)) {
          unpack(file);
          repaired++;
        }
        NativeCache.sync(directory);
      }
    }
    for (Unpacked file : wrong(wrong, check)) {
      throw new IOException(
          path(file) + " is not what its checksum says, though just unpacked: the jar is damaged");
    }
  }

  private List<Unpacked> wrong(List<Unpacked> files, Check check) throws IOException {
    List<Unpacked> wrong = new ArrayList<>();
    for (Unpacked file : files) {
      if (!NativeCache.isOwnFile(path(file)) || !check.isRight(file)) {
        wrong.add(file);
      }
    }
    return wrong;
  }

  /** Waits for other processes, and for other class loaders of this one. */
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

  /** What a killed process left; called by the holder of the lock. */
  private void removePartial() throws IOException {
    try (DirectoryStream<Path> left = Files.newDirectoryStream(directory, "*" + PARTIAL)) {
      for (Path path : left) {
        Files.delete(path);
      }
    }
  }

  private void unpack(Unpacked file) throws IOException {
    Path temporary = directory.resolve(file.name() + PARTIAL);
    try (InputStream in = open(file.owner(), file.resource());
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

  private boolean isResource(Unpacked file) throws IOException {
    byte[] expected = new byte[PART];
    byte[] found = new byte[PART];
    try (InputStream resource = open(file.owner(), file.resource());
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
      hints.add(
          "the cache directory may be mounted noexec: name another with -Dthreegate.cache=DIR");
    }
    if (reason.contains("GLIBC_")) {
      hints.add("glibc 2.36 (Debian 12) or newer is needed");
    }
    return hints.isEmpty() ? "" : "; " + String.join("; ", hints);
  }
}
