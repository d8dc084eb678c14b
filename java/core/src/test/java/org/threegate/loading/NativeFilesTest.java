package org.threegate.loading;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

/** Tests which library of a binding is taken. */
class NativeFilesTest {
  private static final String SHIMS = "/org/threegate/loading/shims/";

  @Test
  void theLibraryOfThePlatformComesFirst() {
    assertThat(shimOf("linux-aarch64", SHIMS + "libshim.so"))
        .isEqualTo(SHIMS + "linux-aarch64/libshim.so");
    assertThat(shimOf("linux-x86_64", SHIMS + "libshim.so")).isEqualTo(SHIMS + "libshim.so");
    assertThat(shimOf("linux-x86_64", "")).isEmpty();
  }

  @Test
  void aMissingLibraryIsNamed() {
    assertThatThrownBy(() -> shimOf("linux-x86_64", SHIMS + "libother.so"))
        .isInstanceOf(UnsatisfiedLinkError.class)
        .hasMessageContaining("libother.so is missing");
  }

  private static String shimOf(String platform, String resource) {
    return NativeFiles.shimOf(platform, NativeFilesTest.class, resource);
  }
}
