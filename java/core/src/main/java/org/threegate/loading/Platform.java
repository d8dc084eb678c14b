package org.threegate.loading;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/**
 * The operating system, processor and C library of this JVM.
 *
 * @param system operating system: {@code linux}, or what the JVM calls it
 * @param processor processor: {@code x86_64}, {@code aarch64}, or what the JVM calls it
 * @param musl whether the JVM runs on musl instead of glibc
 */
record Platform(String system, String processor, boolean musl) {
  /** Platforms with native libraries, as in the classifiers of the natives jar. */
  static final List<String> SUPPORTED = List.of("linux-x86_64", "linux-aarch64");

  private static final Path MAPS = Path.of("/proc/self/maps");

  /** Returns the platform of this JVM. */
  static Platform current() {
    return of(System.getProperty("os.name", ""), System.getProperty("os.arch", ""), loaded());
  }

  /**
   * Returns a platform.
   *
   * @param system value of {@code os.name}
   * @param processor value of {@code os.arch}
   * @param loaded the files that are mapped into this process, one per line
   */
  static Platform of(String system, String processor, String loaded) {
    String name = system.toLowerCase(Locale.ROOT);
    String family =
        switch (processor) {
          case "amd64", "x86_64" -> "x86_64";
          case "aarch64", "arm64" -> "aarch64";
          default -> processor;
        };
    boolean musl = loaded.contains("/ld-musl-") || loaded.contains("/libc.musl-");
    return new Platform(name, family, musl);
  }

  private static String loaded() {
    try {
      return Files.readString(MAPS, StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return ""; // only Linux has this file
    }
  }

  /** Returns the name as in the classifiers of the natives jar. */
  String name() {
    return system + "-" + processor;
  }

  /** Returns the libraries that the kernel library loads, without the CUDA one. */
  List<String> blasLibraries() {
    // The Fortran library of AArch64 needs no libquadmath, because its long double has 128 bits.
    return processor.equals("aarch64")
        ? List.of("libgfortran.so.5", "libopenblas.so.0")
        : List.of("libquadmath.so.0", "libgfortran.so.5", "libopenblas.so.0");
  }

  /**
   * Checks that there are native libraries for this platform.
   *
   * @return the name of the platform
   * @throws UnsatisfiedLinkError if there are none; the message says which platforms have some
   */
  String require() {
    String supported = String.join(" and ", SUPPORTED);
    if (!SUPPORTED.contains(name())) {
      throw new UnsatisfiedLinkError(
          "threegate has natives for " + supported + "; this is " + name());
    }
    if (musl) {
      throw new UnsatisfiedLinkError(
          "threegate has natives for "
              + supported
              + " with glibc; this JVM runs on musl, as in Alpine Linux; use an image with glibc");
    }
    return name();
  }
}
