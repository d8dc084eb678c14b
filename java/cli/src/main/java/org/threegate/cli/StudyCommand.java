package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.threegate.analysis.study.StudyClaims;
import org.threegate.analysis.study.StudyResult;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.report.ComparisonReport;
import org.threegate.report.StudyDirectory;
import org.threegate.report.StudyReport;
import org.threegate.report.StudyText;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.study.Study;
import org.threegate.rl.study.StudyOptions;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code threegate study}. */
@Command(
    name = "study",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Tests the claims of \"The Path Not Taken\" (arXiv 2511.08567) on a small model that comes with threegate: tunes it by"
          + " reinforcement in two seeds, by supervision at its usual and at matched rates, within masks, with adapters and from"
          + " rotated axes, and says of each claim what was seen, what its null model gives, and the verdict.",
      "",
      "Writes study.json, study.html and all models, for compare, consensus and curvature."
    },
    footer = {
      "",
      "Examples:",
      "  threegate study --out study",
      "  threegate study --quick",
      "  threegate study --out study --resume",
      "  threegate study --json | jq '.claims[] | [.id, .verdict]'"
    })
final class StudyCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Output(Output.Kind.RESULTS)
  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "threegate-study",
      description = "where reports and models go (default: ${DEFAULT-VALUE})")
  private Path out;

  @Option(names = "--quick", description = "fewer and shorter runs: two minutes, not ten")
  private boolean quick;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description =
          "of reinforcement; supervision takes three times as many (default: 100, quick: 32)")
  private Optional<Long> steps = Optional.empty();

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "seed of everything random (default: ${DEFAULT-VALUE})")
  private long seed;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "0 (default): all processors")
  private int threads;

  @Option(names = "--resume", description = "go on with an interrupted study into the same DIR")
  private boolean resume;

  @Option(names = "--json", description = "print study.json instead of the summary")
  private boolean json;

  StudyCommand() {}

  /** For {@code demo}. */
  StudyCommand(CommandSpec spec, Path out, boolean quick, boolean resume) {
    this.spec = spec;
    this.out = out;
    this.quick = quick;
    this.resume = resume;
  }

  @Override
  public Integer call() {
    options(); // what is wrong with them is said before anything is made
    OutputPath.writingDirectory(out, this::study);
    return 0;
  }

  private void study() throws IOException {
    long start = System.nanoTime();
    OutputPath.begin(out);
    Threads.use(threads > 0 ? threads : Runtime.getRuntime().availableProcessors());
    Interruption.measure(
        () -> Context.open(Context.Device.CPU, threads),
        spec.commandLine().getErr(),
        "the same command with --resume goes on",
        (context, control) -> write(report(context, control, start)));
  }

  private StudyReport report(Context context, Control control, long start) throws IOException {
    try (ProgressBar progress = new ProgressBar(control, false)) {
      StudyResult result = Study.run(context, control, out, options(), resume, progress);
      Capabilities machine = Capabilities.query();
      return new StudyReport(
          Version.current(),
          command(),
          new ComparisonReport.Backend(
              "cpu", context.bindingName(), context.threads(), machine.simd(), machine.blas()),
          result,
          StudyClaims.judge(result),
          (System.nanoTime() - start) * 1e-9);
    }
  }

  private StudyOptions options() {
    StudyOptions usual = StudyOptions.of(quick, seed);
    try {
      return steps.map(count -> new StudyOptions(quick, count, seed)).orElse(usual);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("--steps: " + e.getMessage(), e);
    }
  }

  private List<String> command() {
    List<String> command = new ArrayList<>(List.of("study", "--out", out.toString()));
    if (quick) {
      command.add("--quick");
    }
    command.addAll(List.of("--steps", Long.toString(options().steps())));
    command.addAll(List.of("--seed", Long.toString(seed), "--threads", Integer.toString(threads)));
    return List.copyOf(command);
  }

  private void write(StudyReport report) throws IOException {
    StudyDirectory.write(report, out);
    if (json) {
      StudyDirectory.writeJson(report, System.out);
      System.out.flush();
      return;
    }
    spec.commandLine().getOut().print(StudyText.render(report, TerminalWidth.of(spec)));
    spec.commandLine().getOut().printf("%nreport: %s%n", out.resolve(StudyDirectory.HTML));
    spec.commandLine().getOut().flush();
  }
}
