package org.threegate.patch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/**
 * Tests the fuzzer's corpus and short mutations of it in every run. {@code ci/fuzz} continues from
 * there.
 */
@ExtendWith(NativeLeaks.class)
class PatchCorpusTest {
  private static final int MUTATIONS = 200;
  private static final Path CORPUS =
      Path.of(System.getProperty("threegate.root"), "java/patch/src/test/resources/corpus");

  @Test
  void theCorpusPasses() throws IOException {
    Random random = Seeds.random("theCorpusPasses");
    List<Path> files;
    try (Stream<Path> entries = Files.list(CORPUS)) {
      files = entries.toList();
    }
    assertThat(files).hasSizeGreaterThan(PatchFuzz.KINDS);
    for (Path file : files) {
      byte[] seed = Files.readAllBytes(file);
      PatchFuzz.fuzzerTestOneInput(seed);
      for (int i = 0; i < MUTATIONS; i++) {
        byte[] mutated = Arrays.copyOf(seed, seed.length - random.nextInt(2));
        for (int k = 0; k <= random.nextInt(3); k++) {
          mutated[1 + random.nextInt(mutated.length - 1)] = (byte) random.nextInt(256);
        }
        PatchFuzz.fuzzerTestOneInput(mutated);
      }
    }
  }
}
