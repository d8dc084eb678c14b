package org.threegate.checkpoint.torch;

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
 * Tests files of torch, their pickles, and short mutations of both in every run. {@code ci/fuzz}
 * continues from there.
 */
class TorchCorpusTest {
  private static final Path CORPUS =
      Path.of(System.getProperty("threegate.root"), "java/checkpoint/src/test/resources/torch");

  @Test
  void theCorpusPasses() throws IOException {
    Random random = Seeds.random("theCorpusPasses");
    List<Path> files;
    try (Stream<Path> entries = Files.list(CORPUS)) {
      files = entries.filter(file -> file.toString().endsWith(".pt")).toList();
    }
    assertThat(files).hasSizeGreaterThan(10);
    for (Path file : files) {
      byte[] seed = Files.readAllBytes(file);
      TorchFuzz.fuzzerTestOneInput(seed);
      mutate(random, seed, 300);
      ByteSource source = Archives.source(seed);
      if (seed[0] == 'P' && !file.endsWith("script.pt")) {
        ZipDirectory.Range pickle =
            ZipDirectory.read(source).entries().entrySet().stream()
                .filter(entry -> entry.getKey().endsWith("/data.pkl"))
                .findFirst()
                .orElseThrow()
                .getValue();
        mutate(random, source.read(pickle.begin(), (int) pickle.bytes()), 2000);
      }
    }
  }

  private static void mutate(Random random, byte[] seed, int times) {
    for (int i = 0; i < times; i++) {
      byte[] mutated = seed.clone();
      for (int k = 0; k <= random.nextInt(3); k++) {
        mutated[random.nextInt(mutated.length)] = (byte) random.nextInt(256);
      }
      TorchFuzz.fuzzerTestOneInput(mutated);
    }
  }
}
