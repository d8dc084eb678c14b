package org.threegate.cli;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code threegate demo}. */
@Command(
    name = "demo",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description =
        "Shows what threegate does: the study, or with --sample the comparison of two small checkpoints that come with it.",
    footer = {
      "",
      "Examples:",
      "  threegate demo",
      "  threegate demo --quick",
      "  threegate demo --sample --out /tmp/demo"
    })
final class DemoCommand implements Callable<Integer> {
  private static final List<String> FILES = List.of("config.json", "model.safetensors");

  @Spec private CommandSpec spec;

  @Output(Output.Kind.RESULTS)
  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "threegate-demo",
      description = "where the report goes (default: ${DEFAULT-VALUE})")
  private Path out;

  @ArgGroup private Extent extent = new Extent();

  /** How much of it. */
  static final class Extent {
    @Option(names = "--quick", description = "fewer and shorter runs: two minutes, not ten")
    private boolean quick;

    @Option(
        names = "--sample",
        description =
            "the attention of a small model before and after reinforcement, compared in seconds")
    private boolean sample;
  }

  @Option(names = "--resume", description = "go on with an interrupted study")
  private boolean resume;

  @Override
  public Integer call() throws IOException {
    return extent.sample ? sample() : new StudyCommand(spec, out, extent.quick, resume).call();
  }

  private Integer sample() throws IOException {
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
