package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.threegate.analysis.consensus.Consensus;
import org.threegate.analysis.engine.ConsensusOutcome;
import org.threegate.analysis.engine.ConsensusRequest;
import org.threegate.analysis.engine.Engine;
import org.threegate.analysis.engine.Failure;
import org.threegate.analysis.pairing.SharedMatrices;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.report.Account;
import org.threegate.report.ConsensusDirectory;
import org.threegate.report.ConsensusReport;
import org.threegate.report.ConsensusText;
import org.threegate.report.Provenance;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate consensus}. */
@Command(
    name = "consensus",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Test whether several runs change the same weights; follow the checkpoints of one run.",
      "",
      "The overlap of the runs is compared with null models that know only how many weights change and"
          + " how large the weights are. --trajectory treats the runs as checkpoints of one run, and"
          + " measures how its update grows. Writes consensus.json and consensus.html."
    },
    footer = {
      "",
      "Examples:",
      "  threegate consensus base/ run-seed1/ run-seed2/ run-seed3/ --out consensus",
      "  threegate consensus base/ step-100/ step-200/ step-300/ --trajectory \\",
      "      --steps 100,200,300",
      "  threegate consensus base/ run-1/ run-2/ --include self_attn --json \\",
      "      | jq .findings"
    })
final class ConsensusCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      index = "0",
      paramLabel = "BASE",
      description = "The checkpoint that all runs started from.")
  private String base;

  @Input
  @Parameters(
      index = "1..*",
      arity = "2..*",
      paramLabel = "RUN",
      description = "The tuned checkpoints, two or more.")
  private List<String> runs;

  @Output(Output.Kind.RESULTS)
  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "threegate-consensus",
      description = "Write the report to this directory (default: ${DEFAULT-VALUE}).")
  private Path out;

  @Mixin private Selection selection;

  @Option(
      names = "--strict",
      description =
          "Refuse checkpoints whose tensors do not all match, or share less than 99 %% of the entries.")
  private boolean strict;

  @Option(
      names = "--trajectory",
      description =
          "Treat the runs as checkpoints of one run, in order, and measure its trajectory as well.")
  private boolean trajectory;

  @Option(
      names = "--steps",
      split = ",",
      paramLabel = "N",
      description =
          "Training steps of the checkpoints, separated by commas, for --trajectory (default: 1, 2, …).")
  private List<Double> steps = new ArrayList<>();

  @Mixin private GeometryMixin geometry;

  @Mixin private EffectMixin effect = new EffectMixin();

  @Mixin private RunMixin run = new RunMixin();

  @Option(names = "--json", description = "Print consensus.json instead of the summary.")
  private boolean json;

  @Mixin private MemoryMixin memory = new MemoryMixin();

  @Mixin private SparkMixin spark;

  @Override
  public Integer call() {
    selection.predicate(); // refuse invalid options before any output exists
    geometry.options(run.seed());
    stepNumbers();
    List<Failure> failures = new ArrayList<>();
    OutputPath.writingDirectory(out, () -> failures.addAll(measure()));
    return SparkMixin.report(failures, spec.commandLine().getErr());
  }

  /** Measures, writes the report, and returns the tensors that could not be measured. */
  private List<Failure> measure() throws IOException {
    long start = System.nanoTime();
    List<Failure> failures = new ArrayList<>();
    Interruption.measure(
        run::open,
        spec.commandLine().getErr(),
        "nothing was written",
        (context, control) -> {
          ConsensusReport report;
          try (Engine engine = spark.engine(context, memory.budget());
              ProgressBar progress = new ProgressBar(control, !trajectory)) {
            ConsensusOutcome outcome = engine.consensus(request(), progress, control);
            failures.addAll(outcome.failures());
            report = report(engine, outcome, start);
          }
          if (!report.tensors().isEmpty()) {
            write(report);
          }
        });
    return failures;
  }

  private ConsensusRequest request() {
    ConsensusRequest.Builder request =
        ConsensusRequest.builder(base, runs)
            .selected(selection.predicate())
            .check(this::requireAll);
    if (trajectory) {
      request.trajectory(stepNumbers(), geometry.options(run.seed()));
    }
    return request.build();
  }

  /** Refuses checkpoints that do not match, if that was asked for. */
  private void requireAll(SharedMatrices shared) {
    if (!strict) {
      return;
    }
    List<Accounting.Side> sides = new ArrayList<>(List.of(shared.accounting().base()));
    sides.addAll(shared.accounting().runs());
    Strictness.require(
        base, "do not match in all runs", "compare the rest", sides, selection.predicate());
    ConsensusReport.Coverage coverage = coverage(shared);
    if (!Account.isNearlyAll(coverage.entries())) {
      throw new InvalidInputException(
          base
              + ": "
              + coverage.line()
              + ", which is less than 99 %; leave out --strict to accept it");
    }
  }

  private static ConsensusReport.Coverage coverage(SharedMatrices shared) {
    return ConsensusReport.Coverage.of(
        shared.accounting(), shared.matched(), shared.quantized().size());
  }

  private ConsensusReport report(Engine engine, ConsensusOutcome outcome, long start) {
    return new ConsensusReport(
        new Provenance(Version.current(), command(engine), (System.nanoTime() - start) * 1e-9),
        engine.named(base),
        runs.stream().map(engine::named).toList(),
        coverage(outcome.shared()),
        outcome.tensors(),
        Consensus.judge(outcome.tensors(), outcome.shared().quantized(), effect.smallest()),
        outcome.trajectories(),
        trajectory
            ? stepNumbers().stream().mapToDouble(Double::doubleValue).toArray()
            : new double[0]);
  }

  private List<Double> stepNumbers() {
    if (!steps.isEmpty() && !trajectory) {
      throw new InvalidInputException("--steps: only allowed with --trajectory");
    }
    if (!steps.isEmpty() && steps.size() != runs.size()) {
      throw new InvalidInputException(
          "--steps: " + steps.size() + " steps for " + runs.size() + " checkpoints");
    }
    List<Double> numbers =
        steps.isEmpty()
            ? IntStream.rangeClosed(1, runs.size()).mapToObj(step -> (double) step).toList()
            : steps;
    double previous = 0;
    for (double step : numbers) {
      if (!(step > previous)) {
        throw new InvalidInputException("--steps: the steps must be positive and must ascend");
      }
      previous = step;
    }
    return numbers;
  }

  private List<String> command(Engine engine) {
    List<String> command = new ArrayList<>(List.of("consensus", engine.named(base)));
    runs.forEach(run -> command.add(engine.named(run)));
    command.addAll(List.of("--out", out.toString()));
    command.addAll(selection.command());
    if (strict) {
      command.add("--strict");
    }
    if (trajectory) {
      command.add("--trajectory");
      command.add("--steps");
      command.add(stepNumbers().stream().map(Object::toString).collect(Collectors.joining(",")));
      command.addAll(geometry.command());
    }
    command.addAll(effect.command());
    command.addAll(run.command());
    command.addAll(memory.command());
    command.addAll(spark.command());
    return List.copyOf(command);
  }

  private void write(ConsensusReport report) throws IOException {
    ConsensusDirectory.write(report, out);
    if (json) {
      ConsensusDirectory.writeJson(report, System.out);
      System.out.flush();
      return;
    }
    spec.commandLine().getOut().print(ConsensusText.render(report, TerminalWidth.of(spec)));
    spec.commandLine().getOut().printf("%nreport: %s%n", out.resolve(ConsensusDirectory.HTML));
    spec.commandLine().getOut().flush();
  }
}
