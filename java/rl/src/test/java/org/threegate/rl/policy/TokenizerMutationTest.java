package org.threegate.rl.policy;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.testing.ChildJvm;
import org.threegate.testing.Seeds;

/**
 * Tests that no tokenizer crashes the process. A separate process loads and uses mutated tokenizers
 * of every kind, and must end normally. {@code -Dthreegate.test.tokenizers=20000} tests more of
 * them.
 */
class TokenizerMutationTest {
  private static final int CASES = Integer.getInteger("threegate.test.tokenizers", 2500);
  private static final Path MODELS = Path.of("src/test/resources/tokenizers");

  @TempDir Path directory;

  @Test
  @Timeout(value = 1, unit = TimeUnit.HOURS)
  void noneEndsTheProcess() throws IOException, InterruptedException {
    long seed = Seeds.random("TokenizerMutationTest").nextInt(1 << 30);
    List<String> command = new ArrayList<>(ChildJvm.inherited());
    command.add(0, Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xmx512m",
            "-cp",
            System.getProperty("java.class.path"),
            TokenizerCases.class.getName(),
            MODELS.toString(),
            directory.toString(),
            Long.toString(seed),
            "0",
            Integer.toString(CASES)));
    Process process =
        new ProcessBuilder(command).redirectError(directory.resolve("errors").toFile()).start();
    String last = "";
    try (BufferedReader out = process.inputReader()) {
      for (String line = out.readLine(); line != null; line = out.readLine()) {
        last = line;
      }
    } finally {
      process.destroyForcibly();
    }
    String where = "seed " + seed + ", " + last + ": ";
    assertThat(process.waitFor())
        .as(where + Files.readString(directory.resolve("errors")))
        .isZero();
    // Enough of the mutated tokenizers could be loaded and used.
    assertThat(last).startsWith("used ");
    assertThat(Integer.parseInt(last.substring(5))).isGreaterThan(CASES / 10);
  }

  /** The models without mutations can be loaded and used. */
  @Test
  void theModelsAreUsed() throws IOException {
    List<byte[]> models = TokenizerCases.models(MODELS);
    assertThat(models).hasSizeGreaterThan(6);
    for (byte[] model : models) {
      Files.write(directory.resolve("tokenizer.json"), model);
      assertThat(TokenizerCases.use(directory, new Random(1))).isTrue();
    }
  }
}
