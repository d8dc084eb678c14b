package org.threegate.loading;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Tests that platforms without native libraries are named. */
class PlatformTest {
  private static final String GLIBC = "7f00-7f01 r-xp /usr/lib/x86_64-linux-gnu/libc.so.6\n";

  @Test
  void linuxWithGlibcIsSupported() {
    assertThat(Platform.of("Linux", "amd64", GLIBC).require()).isEqualTo("linux-x86_64");
    assertThat(Platform.of("Linux", "aarch64", GLIBC).require()).isEqualTo("linux-aarch64");
    assertThat(Platform.current().require()).isIn(Platform.SUPPORTED);
  }

  @ParameterizedTest
  @CsvSource({
    "Mac OS X, aarch64, mac os x-aarch64",
    "Mac OS X, x86_64, mac os x-x86_64",
    "Windows 11, amd64, windows 11-x86_64",
    "Linux, ppc64le, linux-ppc64le",
    "'', '', -"
  })
  void othersAreNamed(String system, String processor, String name) {
    Platform platform = Platform.of(system, processor, "");
    assertThatThrownBy(platform::require)
        .isInstanceOf(UnsatisfiedLinkError.class)
        .hasMessage("threegate has natives for linux-x86_64 and linux-aarch64; this is " + name);
  }

  @Test
  void onlyOneProcessorNeedsLibquadmath() {
    assertThat(Platform.of("Linux", "amd64", GLIBC).blasLibraries()).contains("libquadmath.so.0");
    assertThat(Platform.of("Linux", "aarch64", GLIBC).blasLibraries())
        .containsExactly("libgfortran.so.5", "libopenblas.so.0");
  }

  @ParameterizedTest
  @CsvSource({"/lib/ld-musl-x86_64.so.1", "/lib/libc.musl-x86_64.so.1"})
  void muslIsNamed(String file) {
    Platform platform = Platform.of("Linux", "amd64", "7f00-7f01 r-xp 00:00 1 " + file + "\n");
    assertThatThrownBy(platform::require)
        .isInstanceOf(UnsatisfiedLinkError.class)
        .hasMessageContaining("musl")
        .hasMessageContaining("glibc");
  }
}
