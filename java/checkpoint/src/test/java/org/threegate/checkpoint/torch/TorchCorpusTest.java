package org.threegate.checkpoint.torch;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Random;
import java.util.function.Consumer;
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
    try (Stream<Path> entries = Files.walk(CORPUS)) {
      files = entries.filter(file -> file.toString().endsWith(".pt")).toList();
    }
    assertThat(files).hasSizeGreaterThan(30);
    for (Path file : files) {
      byte[] seed = Files.readAllBytes(file);
      TorchFuzz.fuzzerTestOneInput(seed);
      mutate(random, seed, 40, TorchFuzz::fuzzerTestOneInput);
      ByteSource source = Archives.source(seed);
      if (seed[0] == 'P' && !file.endsWith("script.pt")) {
        ZipDirectory.Range pickle =
            ZipDirectory.read(source).entries().entrySet().stream()
                .filter(entry -> entry.getKey().endsWith("/data.pkl"))
                .findFirst()
                .orElseThrow()
                .getValue();
        byte[] code = source.read(pickle.begin(), (int) pickle.bytes());
        mutate(random, code, 200, TorchFuzz::fuzzerTestOneInput);
      }
    }
  }

  @Test
  void theMetadataPasses() throws IOException {
    Random random = Seeds.random("theMetadataPasses");
    List<Path> files;
    try (Stream<Path> entries = Files.walk(CORPUS)) {
      files = entries.filter(file -> file.endsWith(".metadata")).toList();
    }
    assertThat(files).hasSizeGreaterThan(5);
    for (Path file : files) {
      byte[] seed = Files.readAllBytes(file);
      MetadataFuzz.fuzzerTestOneInput(seed);
      mutate(random, seed, 500, MetadataFuzz::fuzzerTestOneInput);
    }
  }

  private static void mutate(Random random, byte[] seed, int times, Consumer<byte[]> target) {
    for (int i = 0; i < times; i++) {
      byte[] mutated = seed.clone();
      for (int k = 0; k <= random.nextInt(3); k++) {
        mutated[random.nextInt(mutated.length)] = (byte) random.nextInt(256);
      }
      target.accept(mutated);
    }
  }
}
