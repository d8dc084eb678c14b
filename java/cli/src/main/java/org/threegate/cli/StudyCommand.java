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
      "Test the paper's claims on a small model.",
      "",
      "The paper is \"The Path Not Taken\" (arXiv 2511.08567). The study fine-tunes an included model"
          + " of 0.75 million parameters in many ways: by reinforcement at two learning rates, by"
          + " supervision at its usual and at matched rates, by rejection sampling, within masks, with"
          + " adapters and from a rotated base. It also varies the optimizer (SGD, Muon), the task and the"
          + " base. Most ways have two or four seeds, and the spread between seeds decides. For each claim"
          + " the study reports the observed value, the values of null models and matched controls, and the"
          + " verdict.",
      "",
      "Takes about fifteen minutes on two cores, two to three with --quick. Writes study.json, study.html"
          + " and all models, which compare, consensus and curvature can read."
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
      description = "Write reports and models to this directory (default: ${DEFAULT-VALUE}).")
  private Path out;

  @Option(
      names = "--quick",
      description = "Do fewer and shorter runs: two to three minutes on two cores, not fifteen.")
  private boolean quick;

  @Option(
      names = "--steps",
      paramLabel = "N",
      description =
          "Number of steps of reinforcement; supervision takes three times as many (default: 100, with"
              + " --quick 32).")
  private Optional<Long> steps = Optional.empty();

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Seed of all random numbers (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "Number of threads; 0 for one on each processor (default: ${DEFAULT-VALUE}).")
  private int threads;

  @Option(names = "--resume", description = "Continue an interrupted study with the same --out.")
  private boolean resume;

  @Option(names = "--json", description = "Print study.json instead of the summary.")
  private boolean json;

  StudyCommand() {}

  /** Creates the command that {@code demo} runs. */
  StudyCommand(CommandSpec spec, Path out, boolean quick, boolean resume) {
    this.spec = spec;
    this.out = out;
    this.quick = quick;
    this.resume = resume;
  }

  @Override
  public Integer call() {
    options(); // refuse invalid options before any output exists
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
        "run the same command with --resume to continue",
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
