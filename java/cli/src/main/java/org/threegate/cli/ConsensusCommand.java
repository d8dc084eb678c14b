package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import java.util.stream.Collectors;
import java.util.stream.DoubleStream;
import java.util.stream.IntStream;
import org.threegate.analysis.consensus.Consensus;
import org.threegate.analysis.consensus.TensorConsensus;
import org.threegate.analysis.consensus.TensorTrajectory;
import org.threegate.analysis.consensus.Trajectory;
import org.threegate.analysis.engine.Cluster;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.report.ConsensusDirectory;
import org.threegate.report.ConsensusReport;
import org.threegate.report.ConsensusText;
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
      "Says whether several runs from one base change the same weights, beside what their densities and the weights' magnitudes"
          + " alone would give; with --trajectory, how one run grows. Writes consensus.json and consensus.html."
    },
    footer = {
      "",
      "Examples:",
      "  threegate consensus base/ run-seed1/ run-seed2/ run-seed3/ --out consensus",
      "  threegate consensus base/ step-100/ step-200/ step-300/ --trajectory --steps 100,200,300",
      "  threegate consensus base/ run-1/ run-2/ --include self_attn --json | jq .findings"
    })
final class ConsensusCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      index = "0",
      paramLabel = "BASE",
      description = "the checkpoint that all runs began from")
  private String base;

  @Input
  @Parameters(
      index = "1..*",
      arity = "2..*",
      paramLabel = "RUN",
      description = "tuned checkpoints, two or more")
  private List<String> runs;

  @Output(Output.Kind.RESULTS)
  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "threegate-consensus",
      description = "where the report goes (default: ${DEFAULT-VALUE})")
  private Path out;

  @Mixin private Selection selection;

  @Option(
      names = "--trajectory",
      description = "the runs are checkpoints of one run, in order: measure its way too")
  private boolean trajectory;

  @Option(
      names = "--steps",
      split = ",",
      paramLabel = "N",
      description = "training steps of the checkpoints (default: 1, 2, …)")
  private List<Double> steps = new ArrayList<>();

  @Mixin private GeometryMixin geometry;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description = "threads of the kernels; 0 (default): all")
  private int threads;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "seed of everything random (default: ${DEFAULT-VALUE})")
  private long seed;

  @Option(names = "--json", description = "print consensus.json instead of the summary")
  private boolean json;

  @Mixin private SparkMixin spark;

  /** Tensors that a cluster could not measure. */
  private List<Cluster.Failure> failures = List.of();

  @Override
  public Integer call() {
    selection.predicate(); // what is wrong with options is said before anything is made
    geometry.options(seed);
    stepNumbers();
    OutputPath.writingDirectory(out, this::measure);
    return SparkMixin.report(failures, spec.commandLine().getErr());
  }

  private void measure() throws IOException {
    long start = System.nanoTime();
    Predicate<String> selected = selection.predicate();
    GeometryOptions options = geometry.options(seed);
    double[] numbers = stepNumbers();
    Interruption.measure(
        () -> Context.open(Context.Device.CPU, threads),
        spec.commandLine().getErr(),
        "nothing was written",
        (context, control) -> {
          if (spark.isPresent()) {
            measureOverSpark(control, selected, options, numbers, start);
          } else {
            write(measure(context, control, selected, options, numbers, start));
          }
        });
  }

  private void measureOverSpark(
      Control control,
      Predicate<String> selected,
      GeometryOptions options,
      double[] numbers,
      long start)
      throws IOException {
    Cluster.Agreed agreed;
    try (Cluster cluster = spark.open();
        ProgressBar progress = new ProgressBar(control, !trajectory)) {
      agreed =
          cluster.consensus(
              base,
              runs,
              selected,
              trajectory ? numbers : new double[0],
              options,
              progress,
              control);
    }
    failures = agreed.failures();
    if (!agreed.tensors().isEmpty()) {
      write(report(agreed.tensors(), agreed.ways(), numbers, start));
    }
  }

  private ConsensusReport measure(
      Context context,
      Control control,
      Predicate<String> selected,
      GeometryOptions options,
      double[] numbers,
      long start) {
    List<Checkpoint> opened = new ArrayList<>();
    try (Checkpoint before = Checkpoint.open(context, Path.of(base));
        ProgressBar progress = new ProgressBar(control, true)) {
      for (String run : runs) {
        opened.add(Checkpoint.open(context, Path.of(run)));
      }
      List<TensorConsensus> tensors =
          Consensus.of(context, before, opened, selected, progress, control);
      List<TensorTrajectory> ways =
          trajectory
              ? new Trajectory(numbers, options)
                  .of(context, before, opened, selected, progress, control)
              : List.of();
      return report(tensors, ways, numbers, start);
    } finally {
      opened.forEach(Checkpoint::close);
    }
  }

  /** As it goes into the report. */
  private String named(String location) {
    return spark.isPresent() ? location : Path.of(location).toString();
  }

  private ConsensusReport report(
      List<TensorConsensus> tensors, List<TensorTrajectory> ways, double[] numbers, long start) {
    return new ConsensusReport(
        Version.current(),
        command(),
        named(base),
        runs.stream().map(this::named).toList(),
        tensors,
        Consensus.judge(tensors),
        ways,
        trajectory ? numbers : new double[0],
        (System.nanoTime() - start) * 1e-9);
  }

  private double[] stepNumbers() {
    if (!steps.isEmpty() && !trajectory) {
      throw new InvalidInputException("--steps: belongs to --trajectory");
    }
    if (!steps.isEmpty() && steps.size() != runs.size()) {
      throw new InvalidInputException(
          "--steps: " + steps.size() + " steps of " + runs.size() + " checkpoints");
    }
    double[] numbers =
        steps.isEmpty()
            ? IntStream.rangeClosed(1, runs.size()).asDoubleStream().toArray()
            : steps.stream().mapToDouble(Double::doubleValue).toArray();
    for (int i = 0; i < numbers.length; i++) {
      if (!(numbers[i] > (i == 0 ? 0 : numbers[i - 1]))) {
        throw new InvalidInputException("--steps: they must ascend from above 0");
      }
    }
    return numbers;
  }

  private List<String> command() {
    List<String> command = new ArrayList<>(List.of("consensus", named(base)));
    runs.forEach(run -> command.add(named(run)));
    command.addAll(List.of("--out", out.toString()));
    command.addAll(selection.command());
    if (trajectory) {
      command.add("--trajectory");
      command.add("--steps");
      command.add(
          DoubleStream.of(stepNumbers())
              .mapToObj(Double::toString)
              .collect(Collectors.joining(",")));
      command.addAll(geometry.command());
    }
    command.addAll(List.of("--threads", Integer.toString(threads), "--seed", Long.toString(seed)));
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
