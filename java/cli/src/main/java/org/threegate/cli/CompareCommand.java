package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.threegate.analysis.compare.Claims;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.diff.TensorDiff;
import org.threegate.analysis.engine.CompareOutcome;
import org.threegate.analysis.engine.CompareRequest;
import org.threegate.analysis.engine.Engine;
import org.threegate.analysis.engine.Failure;
import org.threegate.analysis.engine.Resumption;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.geometry.TensorGeometry;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.report.ComparisonReport;
import org.threegate.report.ReportDirectory;
import org.threegate.report.TerminalReport;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate compare}. */
@Command(
    name = "compare",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Compare two checkpoints and write a report.",
      "",
      "The report consists of report.json, report.html, tensors.parquet and arrays.safetensors. BASE"
          + " and TUNED are model directories, files of safetensors or torch, indexes of shards, or"
          + " checkpoints of FSDP, torch.distributed and DeepSpeed. TUNED may also be an adapter of"
          + " PEFT."
    },
    footer = {
      "",
      "Examples:",
      "  threegate compare Qwen2.5-1.5B/ my-run/checkpoint-320/ --out report",
      "  threegate compare base/ tuned/ --include 'self_attn' --exclude 'bias$'",
      "  threegate compare base/ tuned/ --rank 16,64 --alpha 0.25,0.5 --draws 10",
      "  threegate compare base/ tuned/ --no-spectrum",
      "  threegate compare base/ lora-adapter/ --json | jq .summary.findings",
      "  threegate compare base/ tuned/ --out report --resume",
      "  threegate compare hdfs:///base hdfs:///tuned --spark spark://head:7077 \\",
      "      --out report"
    })
final class CompareCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Input
  @Parameters(index = "0", paramLabel = "BASE", description = "The checkpoint before fine-tuning.")
  private String base;

  @Input
  @Parameters(
      index = "1",
      paramLabel = "TUNED",
      description = "The checkpoint after fine-tuning, or an adapter of PEFT.")
  private String tuned;

  @Output(Output.Kind.RESULTS)
  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "threegate-report",
      description = "Write the report to this directory (default: ${DEFAULT-VALUE}).")
  private Path out;

  @Mixin private Selection selection;

  @Option(names = "--strict", description = "Refuse checkpoints whose tensors do not all match.")
  private boolean strict;

  @Option(
      names = "--rename",
      paramLabel = "FROM=TO",
      description =
          "Read names of TUNED that begin with FROM as if they began with TO. Can be repeated."
              + " Prefixes of wrappers such as module. need no option.")
  private Map<String, String> renames = new LinkedHashMap<>();

  @Input
  @Option(
      names = "--initial-adapter",
      paramLabel = "DIR",
      description = "The adapter from before training; needed for PiSSA, OLoRA and CorDA.")
  private Optional<String> initialAdapter;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Number of threads for kernels; 0 for one on each processor (default: ${DEFAULT-VALUE})."
              + " As many more, at most 4, compute digests.")
  private int threads;

  @Mixin private MemoryMixin memory = new MemoryMixin();

  @Mixin private DeviceMixin device;

  @Option(names = "--json", description = "Print report.json instead of the summary.")
  private boolean json;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "Seed of all random numbers (default: ${DEFAULT-VALUE}).")
  private long seed;

  @Mixin private IdentityMixin digest = new IdentityMixin();

  @Option(
      names = "--resume",
      description = "Continue an interrupted comparison with the same --out.")
  private boolean resume;

  @Option(
      names = "--no-spectrum",
      description = "Only count changes: no singular values, angles, masks or findings.")
  private boolean noSpectrum;

  @Mixin private GeometryMixin geometry;

  @Mixin private EffectMixin effect = new EffectMixin();
  @Mixin private SparkMixin spark;

  CompareCommand() {}

  /** Creates the command that {@code demo --sample} runs, with default options. */
  CompareCommand(CommandSpec spec, Path base, Path tuned, Path out) {
    this.spec = spec;
    this.base = base.toString();
    this.tuned = tuned.toString();
    this.out = out;
    this.selection = new Selection();
    this.initialAdapter = Optional.empty();
    this.device = new DeviceMixin();
    this.geometry = new GeometryMixin();
    this.spark = new SparkMixin();
  }

  @Override
  public Integer call() throws IOException {
    selection.predicate(); // refuse invalid options before any output exists
    geometryOptions();
    effect.smallest();
    List<Failure> failures = new ArrayList<>();
    OutputPath.writingDirectory(out, () -> failures.addAll(compare()));
    return SparkMixin.report(failures, spec.commandLine().getErr());
  }

  /** Compares, writes the report, and returns the tensors that could not be measured. */
  private List<Failure> compare() throws IOException {
    long start = System.nanoTime();
    List<Failure> failures = new ArrayList<>();
    Interruption.measure(
        () -> device.open(threads, spec.commandLine().getErr()),
        spec.commandLine().getErr(),
        "run the same command with --resume to continue",
        (context, control) -> {
          CompareOutcome outcome;
          List<String> command;
          try (Engine engine = spark.engine(context, memory.budget());
              ProgressBar progress = new ProgressBar(control, noSpectrum)) {
            command = command(engine);
            outcome = engine.compare(request(), progress, control);
          }
          failures.addAll(outcome.failures());
          if (!outcome.measured().tensors().isEmpty()) {
            write(report(outcome, command, start));
          }
        });
    return failures;
  }

  private CompareRequest request() {
    Resumption resumption =
        new Resumption(
            ReportDirectory.journal(out),
            Version.program(),
            selection.command().toString(),
            resume);
    CompareRequest.Builder request =
        CompareRequest.builder(base, tuned, resumption)
            .selected(selection.predicate())
            .digest(digest.kind())
            .renames(renames)
            .check(this::requireSomething)
            .withoutGeometry();
    initialAdapter.ifPresent(request::initialAdapter);
    geometryOptions().ifPresent(request::geometry);
    return request.build();
  }

  private ComparisonReport report(CompareOutcome outcome, List<String> command, long start) {
    Comparison.Outcome measured = outcome.measured();
    Pairing pairing = outcome.unmatched();
    Pairing.Unpaired unmatched = pairing.names();
    List<TensorDiff> judged =
        measured.tensors().stream().filter(tensor -> !tensor.isQuantizedOnOneSide()).toList();
    Map<String, TensorGeometry> geometries = new LinkedHashMap<>(measured.geometry());
    geometries.keySet().retainAll(judged.stream().map(TensorDiff::name).toList());
    CompareOutcome.Machines machines = outcome.machines();
    return new ComparisonReport(
        new ComparisonReport.Run(
            Version.current(),
            command,
            new ComparisonReport.Backend(
                machines.device(),
                machines.binding(),
                machines.threads(),
                machines.simd(),
                machines.blas()),
            seed,
            new ComparisonReport.Seconds(
                measured.digestSeconds(),
                measured.diffSeconds(),
                (System.nanoTime() - start) * 1e-9),
            Memory.peakRssBytes()),
        source(outcome.base()),
        source(outcome.tuned()),
        new ComparisonReport.Unmatched(
            unmatched.onlyInBase(),
            unmatched.onlyInTuned(),
            unmatched.shapeMismatch(),
            unmatched.notCompared(),
            unmatched.untouched()),
        ComparisonReport.Coverage.of(
            pairing.accounting(), pairing.matched(), measured.tensors().size() - judged.size()),
        measured.tensors(),
        measured.geometry(),
        Claims.judge(judged, geometries, effect.smallest()));
  }

  private static ComparisonReport.Source source(CompareOutcome.Contents contents) {
    return new ComparisonReport.Source(
        contents.location(), contents.identity(), contents.tensors(), contents.parameters());
  }

  private Optional<GeometryOptions> geometryOptions() {
    return noSpectrum ? Optional.empty() : Optional.of(geometry.options(seed));
  }

  private static List<String> firstFew(List<String> names) {
    List<String> few = new ArrayList<>(names.subList(0, Math.min(3, names.size())));
    if (names.size() > few.size()) {
      few.add((names.size() - few.size()) + " more");
    }
    return few;
  }

  private void requireSomething(Pairing pairing) {
    if (strict) {
      List<String> problems = new ArrayList<>(pairing.names().onlyInBase());
      problems.addAll(pairing.names().onlyInTuned());
      problems.addAll(pairing.names().shapeMismatch());
      problems.addAll(pairing.names().notCompared());
      if (!problems.isEmpty()) {
        throw new InvalidInputException(
            tuned
                + ": "
                + problems.size()
                + " tensors do not match "
                + base
                + ", the first is "
                + problems.get(0)
                + "; leave out --strict to compare the rest");
      }
    }
    if (pairing.pairs().isEmpty()) {
      boolean filtered = selection.isPresent();
      throw new InvalidInputException(
          base
              + " and "
              + tuned
              + ": no tensor to compare"
              + (filtered
                  ? "; --include and --exclude select none"
                  : pairing.names().notCompared().isEmpty()
                      ? "; they share no name of a floating-point tensor of the same shape"
                      : "; refused are "
                          + String.join(", ", firstFew(pairing.names().notCompared()))));
    }
  }

  private List<String> command(Engine engine) {
    List<String> command =
        new ArrayList<>(
            List.of("compare", engine.named(base), engine.named(tuned), "--out", out.toString()));
    command.addAll(selection.command());
    initialAdapter.ifPresent(path -> command.addAll(List.of("--initial-adapter", path)));
    if (strict) {
      command.add("--strict");
    }
    command.addAll(digest.command());
    command.addAll(memory.command());
    command.addAll(noSpectrum ? List.of("--no-spectrum") : geometry.command());
    command.addAll(noSpectrum ? List.of() : effect.command());
    command.addAll(
        List.of(
            "--threads",
            Integer.toString(threads),
            "--device",
            device.choice(),
            "--seed",
            Long.toString(seed)));
    command.addAll(spark.command());
    return List.copyOf(command);
  }

  private void write(ComparisonReport report) throws IOException {
    ReportDirectory.write(report, out);
    if (json) {
      ReportDirectory.writeJson(report, System.out);
      System.out.flush();
      return;
    }
    spec.commandLine().getOut().print(TerminalReport.render(report, TerminalWidth.of(spec)));
    spec.commandLine().getOut().printf("%nreport: %s%n", out.resolve(ReportDirectory.HTML));
    spec.commandLine().getOut().flush();
  }
}
