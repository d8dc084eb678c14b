package org.threegate.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.threegate.testing.Seeds;

/**
 * Tests the fuzzer's corpus and short mutations of it in every run. {@code ci/fuzz} continues from
 * there.
 */
class HeaderCorpusTest {
  private static final Path CORPUS =
      Path.of(System.getProperty("threegate.root"), "java/checkpoint/src/test/resources/corpus");

  @Test
  void theCorpusPasses() throws IOException {
    Random random = Seeds.random("theCorpusPasses");
    List<Path> files;
    try (Stream<Path> entries = Files.list(CORPUS)) {
      files = entries.toList();
    }
    assertThat(files).hasSizeGreaterThan(5);
    for (Path file : files) {
      byte[] seed = Files.readAllBytes(file);
      HeaderFuzz.fuzzerTestOneInput(seed);
      for (int i = 0; i < 2000; i++) {
        byte[] mutated = seed.clone();
        for (int k = 0; k <= random.nextInt(3); k++) {
          mutated[random.nextInt(mutated.length)] = (byte) random.nextInt(256);
        }
        HeaderFuzz.fuzzerTestOneInput(mutated);
      }
    }
  }
}
