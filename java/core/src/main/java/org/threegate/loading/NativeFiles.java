package org.threegate.loading;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.threegate.spi.KernelBinding;

/**
 * Provides the native libraries in one directory. It is the first of these:
 *
 * <ol>
 *   <li>{@code -Dthreegate.library.path=DIR}. The directory is used as it is. It is refused only if
 *       every user can write to it.
 *   <li>A directory of the {@link NativeCache} with a name derived from the contents of the natives
 *       jar, into which the jar is unpacked once. The temporary directory is not used, because it
 *       is often mounted noexec.
 * </ol>
 *
 * <p>Unpacked files are verified before they are loaded, unless a {@link Stamp} says that they have
 * not changed since they were verified. A file that differs, or that another user could have
 * written, is unpacked again. The kernel library (2 MB) is compared with the jar byte by byte,
 * because a JVM that has just started hashes only 50 MB/s. The other libraries (40 MB) are loaded
 * by the kernel library, which first hashes them in parallel. Nothing is ever downloaded.
 */
final class NativeFiles {
  static final String LIBRARY = "libthreegate.so.1";
  private static final String PATH_PROPERTY = "threegate.library.path";
  private static final String RESOURCES = "/org/threegate/natives/";
  // In a separate, optional jar.
  private static final String CUDA = "-cuda13/libthreegate_cuda.so.1";
  private static final long FNV_BASIS = 0xcbf29ce484222325L;
  private static final long FNV_PRIME = 0x100000001b3L;

  private final Path directory;
  private final List<PackedFile> first; // loaded by the JVM
  private final List<PackedFile> later; // loaded by the first ones when they are needed
  private final Unpacker unpacker;
  private final Stamp stamp;
  private final boolean verified;

  private NativeFiles(Path directory, List<PackedFile> first, List<PackedFile> later)
      throws IOException {
    this.directory = directory;
    this.first = first;
    this.later = later;
    this.unpacker = new Unpacker(directory);
    List<PackedFile> all = new ArrayList<>(first);
    all.addAll(later);
    this.stamp = Stamp.of(directory, all);
    this.verified = stamp.isValid();
  }

  /**
   * Unpacks and verifies the libraries that are loaded first. {@link #verify} does the same for the
   * others.
   *
   * @param provider class of the binding
   * @param shimResource library of the binding itself; "" if it has none
   * @throws UnsatisfiedLinkError if there are no libraries for this platform, if they are not on
   *     the class path, or if one cannot be unpacked
   */
  static NativeFiles of(Class<?> provider, String shimResource) {
    Platform current = Platform.current();
    String platform = current.require();
    String override = System.getProperty(PATH_PROPERTY, "");
    try {
      if (!override.isEmpty()) {
        return new NativeFiles(overriding(override, nameOf(shimResource)), List.of(), List.of());
      }
      String resources = RESOURCES + platform + "/";
      if (!PackedFile.exists(NativeFiles.class, resources + LIBRARY)) {
        throw new UnsatisfiedLinkError(
            "the native libraries are not on the class path; add org.threegate:threegate-natives"
                + " with the classifier "
                + platform);
      }
      String shim = shimOf(platform, provider, shimResource);
      List<PackedFile> first = new ArrayList<>();
      List<PackedFile> later = new ArrayList<>();
      for (String name : current.blasLibraries()) {
        later.add(PackedFile.of(NativeFiles.class, resources + name));
      }
      first.add(PackedFile.of(NativeFiles.class, resources + LIBRARY));
      if (PackedFile.exists(NativeFiles.class, RESOURCES + platform + CUDA)) {
        later.add(PackedFile.of(NativeFiles.class, RESOURCES + platform + CUDA));
      }
      if (!shim.isEmpty()) {
        first.add(PackedFile.of(provider, shim, ".sha256"));
      }
      NativeFiles files = new NativeFiles(NativeCache.directory(hash(first, later)), first, later);
      if (!files.verified) {
        files.unpacker.repair(files.first, files.unpacker::isResource);
      }
      return files;
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /**
   * Returns the resource of the library of a binding for a platform. A jar has it in a directory of
   * that name, beside the one for the platform on which the jar was built.
   */
  static String shimOf(String platform, Class<?> provider, String resource) {
    if (resource.isEmpty()) {
      return "";
    }
    int name = resource.lastIndexOf('/') + 1;
    String own = resource.substring(0, name) + platform + "/" + resource.substring(name);
    if (PackedFile.exists(provider, own)) {
      return own;
    }
    if (!PackedFile.exists(provider, resource)) {
      throw new UnsatisfiedLinkError(
          resource + " is missing from the jar of the JNI binding; build it again");
    }
    return resource;
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

  /** Describes the directory, for users. */
  String state() {
    return directory
        + (first.isEmpty()
            ? ", given by -D" + PATH_PROPERTY + " and not verified"
            : ", of this user alone, "
                + (verified ? "unchanged since they were verified" : "verified")
                + (unpacker.repaired() == 0 ? "" : ", " + unpacker.repaired() + " unpacked now"));
  }

  private static String nameOf(String resource) {
    return resource.substring(resource.lastIndexOf('/') + 1);
  }

  private static Path overriding(String given, String shim) throws IOException {
    Path directory = Path.of(given).toAbsolutePath();
    if (!Files.isRegularFile(directory.resolve(LIBRARY))) {
      throw new UnsatisfiedLinkError(
          "-D" + PATH_PROPERTY + "=" + given + ": the directory has no " + LIBRARY);
    }
    if (!shim.isEmpty() && !Files.isRegularFile(directory.resolve(shim))) {
      throw new UnsatisfiedLinkError(
          "-D"
              + PATH_PROPERTY
              + "="
              + given
              + ": the directory has no "
              + shim
              + ", which the JNI binding needs; copy it from the jar of threegate-binding-jni");
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
              + ": every user can write to it; chmod o-w the directory and its files");
    }
    return real;
  }

  /**
   * Returns a name for the directory of these files: the FNV-1a hash of their digests, by which
   * they are verified. The first digest of the JDK itself would take 10 ms.
   */
  private static String hash(List<PackedFile> first, List<PackedFile> later) {
    long hash = FNV_BASIS;
    for (List<PackedFile> files : List.of(later, first)) {
      for (PackedFile file : files) {
        for (int i = 0; i < file.sha256().length(); i++) {
          hash = (hash ^ file.sha256().charAt(i)) * FNV_PRIME;
        }
      }
    }
    return Long.toHexString(hash);
  }

  /** Verifies the libraries that are loaded later, and unpacks those that differ. */
  void verify(KernelBinding binding) {
    if (later.isEmpty() || verified) {
      return;
    }
    try {
      List<Path> there = new ArrayList<>();
      for (PackedFile file : later) {
        if (TrustedDirectory.isOwnFile(unpacker.path(file))) {
          there.add(unpacker.path(file));
        }
      }
      // All files in parallel at first; those that are unpacked afterwards one by one.
      Map<Path, String> all = NativeDigests.of(binding, there);
      unpacker.repair(
          later,
          file -> {
            String known = all.remove(unpacker.path(file));
            if (known == null) {
              known =
                  NativeDigests.of(binding, List.of(unpacker.path(file))).get(unpacker.path(file));
            }
            return known == null ? unpacker.isResource(file) : known.strip().equals(file.sha256());
          });
      if (unpacker.repaired() == 0) {
        stamp.write();
      }
    } catch (IOException e) {
      throw failed(e);
    }
  }

  /** Returns what to do about an error of the operating system; "" if unknown. */
  static String hint(String reason) {
    List<String> hints = new ArrayList<>();
    if (reason.contains("failed to map segment") || reason.contains("Operation not permitted")) {
      hints.add(
          "the cache directory may be mounted noexec: name another with -Dthreegate.cache=DIR");
    }
    if (reason.contains("GLIBC_")) {
      hints.add("glibc 2.34 (RHEL 9, Ubuntu 22.04, Debian 12) or newer is needed");
    }
    return hints.isEmpty() ? "" : "; " + String.join("; ", hints);
  }
}
