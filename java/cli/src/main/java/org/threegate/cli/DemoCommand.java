package org.threegate.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code threegate demo}. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    description =
        "Compares the embedded sample: the attention of a small model before and after reinforcement learning.",
    footer = {"", "Examples:", "  threegate demo", "  threegate demo --out /tmp/demo"})
final class DemoCommand implements Callable<Integer> {
  private static final List<String> FILES = List.of("config.json", "model.safetensors");

  @Spec private CommandSpec spec;

  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "threegate-demo",
      description = "where the report goes (default: ${DEFAULT-VALUE})")
  private Path out;

  @Override
  public Integer call() throws IOException {
    Path directory = Files.createTempDirectory("threegate-sample");
    try {
      for (String side : List.of("base", "tuned")) {
        Files.createDirectory(directory.resolve(side));
        for (String file : FILES) {
          try (InputStream in =
              DemoCommand.class.getResourceAsStream("sample/" + side + "/" + file)) {
            Files.copy(in, directory.resolve(side).resolve(file));
          }
        }
      }
      return new CompareCommand(spec, directory.resolve("base"), directory.resolve("tuned"), out)
          .call();
    } finally {
      for (String side : List.of("base", "tuned")) {
        for (String file : FILES) {
          Files.deleteIfExists(directory.resolve(side).resolve(file));
        }
        Files.deleteIfExists(directory.resolve(side));
      }
      Files.deleteIfExists(directory);
    }
  }
}
