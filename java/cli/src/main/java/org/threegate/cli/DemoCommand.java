package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
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
    description = {
      "Run a demonstration.",
      "",
      "By default this is threegate study, which takes about fifteen minutes on two cores, two with"
          + " --quick. --sample compares two small checkpoints instead, which takes a few seconds."
    },
    footer = {
      "",
      "Examples:",
      "  threegate demo",
      "  threegate demo --quick",
      "  threegate demo --sample --out /tmp/demo"
    })
final class DemoCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Output(Output.Kind.RESULTS)
  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "threegate-demo",
      description = "Write the report to this directory (default: ${DEFAULT-VALUE}).")
  private Path out;

  @ArgGroup private Extent extent = new Extent();

  /** Which demonstration to run. */
  static final class Extent {
    @Option(
        names = "--quick",
        description = "Do fewer and shorter runs: about two minutes on two cores, not fifteen.")
    private boolean quick;

    @Option(
        names = "--sample",
        description =
            "Compare the attention weights of a small model before and after reinforcement learning: a"
                + " few seconds.")
    private boolean sample;
  }

  @Option(names = "--resume", description = "Continue an interrupted study with the same --out.")
  private boolean resume;

  @Override
  public Integer call() throws IOException {
    return extent.sample ? sample() : new StudyCommand(spec, out, extent.quick, resume).call();
  }

  private Integer sample() throws IOException {
    try (Sample sample = Sample.extract()) {
      return new CompareCommand(spec, sample.base(), sample.tuned(), out).call();
    }
  }
}
