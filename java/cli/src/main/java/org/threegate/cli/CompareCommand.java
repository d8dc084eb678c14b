package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import org.threegate.analysis.compare.Claims;
import org.threegate.analysis.compare.Comparison;
import org.threegate.analysis.engine.Cluster;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.checkpoint.Adapter;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
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
      "Says what changed between a base checkpoint and a tuned one, and writes report.json, report.html, tensors.parquet and"
          + " arrays.safetensors.",
      "",
      "BASE and TUNED are a .safetensors file, a sharded *.index.json or a model directory; TUNED may also be a LoRA adapter."
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
      "  threegate compare hdfs:///base hdfs:///tuned --spark spark://head:7077 --out report"
    })
final class CompareCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Input
  @Parameters(index = "0", paramLabel = "BASE", description = "the checkpoint before fine-tuning")
  private String base;

  @Input
  @Parameters(
      index = "1",
      paramLabel = "TUNED",
      description = "the checkpoint after it, or a LoRA adapter")
  private String tuned;

  @Output(Output.Kind.RESULTS)
  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "threegate-report",
      description = "where the report goes (default: ${DEFAULT-VALUE})")
  private Path out;

  @Mixin private Selection selection;

  @Option(names = "--strict", description = "refuse checkpoints whose tensors do not all match")
  private boolean strict;

  @Input
  @Option(
      names = "--initial-adapter",
      paramLabel = "DIR",
      description = "the adapter before training (PiSSA, OLoRA, CorDA)")
  private Optional<String> initialAdapter;

  @Option(
      names = "--threads",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "threads of the kernels, beside as many (at most 4) for digests; 0 (default): all")
  private int threads;

  @Mixin private DeviceMixin device;

  @Option(names = "--json", description = "print report.json instead of the summary")
  private boolean json;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "0",
      description = "seed of everything random (default: ${DEFAULT-VALUE})")
  private long seed;

  @Option(names = "--no-digest", description = "leave out the SHA-256 of the checkpoints")
  private boolean noDigest;

  @Option(
      names = "--resume",
      description = "go on with an interrupted comparison into the same DIR")
  private boolean resume;

  @Option(
      names = "--no-spectrum",
      description = "counts alone: no singular values, angles, masks and findings")
  private boolean noSpectrum;

  @Mixin private GeometryMixin geometry;
  @Mixin private SparkMixin spark;

  /** Tensors that a cluster could not measure. */
  private List<Cluster.Failure> failures = List.of();

  CompareCommand() {}

  /** For {@code demo}. */
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
    selection.predicate(); // what is wrong with options is said before anything is made
    geometryOptions();
    OutputPath.writingDirectory(out, this::compare);
    return SparkMixin.report(failures, spec.commandLine().getErr());
  }

  private void compare() throws IOException {
    long start = System.nanoTime();
    Predicate<String> selected = selection.predicate();
    try (Context context = openContext();
        Control control = Control.open(context)) {
      Interruption.guard(
          control,
          spec.commandLine().getErr(),
          "the same command with --resume goes on",
          () -> {
            if (spark.isPresent()) {
              compareOverSpark(control, selected, start);
            } else {
              compare(context, control, selected, start);
            }
          });
    }
  }

  private void compareOverSpark(Control control, Predicate<String> selected, long start)
      throws IOException {
    Cluster.Compared compared;
    try (Cluster cluster = spark.open();
        ProgressBar progress = new ProgressBar(control, noSpectrum)) {
      compared =
          cluster.compare(
              base,
              tuned,
              initialAdapter,
              selected,
              !noDigest,
              geometryOptions(),
              this::requireSomething,
              new Cluster.Keeping(
                  ReportDirectory.journal(out),
                  selection.command() + " | " + noDigest + " | " + geometryOptions(),
                  resume),
              progress,
              control);
    }
    failures = compared.failures();
    if (compared.outcome().tensors().isEmpty()) {
      return; // that none could be measured is all there is to say
    }
    finish(
        report(
            new ComparisonReport.Backend(
                compared.machines().device(),
                compared.machines().binding(),
                compared.machines().threads(),
                compared.machines().simd(),
                compared.machines().blas()),
            source(base, compared.base()),
            source(tuned, compared.tuned()),
            compared.rest(),
            compared.outcome(),
            start));
  }

  /** As it goes into the report. */
  private String named(String location) {
    return spark.isPresent() ? location : Path.of(location).toString();
  }

  private static ComparisonReport.Source source(String location, Cluster.Contents contents) {
    return new ComparisonReport.Source(
        location, contents.digest(), contents.tensors(), contents.parameters());
  }

  private void compare(Context context, Control control, Predicate<String> selected, long start)
      throws IOException {
    try (Checkpoint baseCheckpoint = Checkpoint.open(context, Path.of(base))) {
      if (Checkpoint.isAdapter(Path.of(tuned))) {
        try (Adapter adapter =
            Adapter.open(context, Path.of(tuned), initialAdapter.map(Path::of))) {
          Pairing pairing = Pairing.of(baseCheckpoint, adapter, selected);
          finish(run(context, control, baseCheckpoint, adapter.weights(), pairing, start));
        }
      } else if (initialAdapter.isPresent()) {
        throw new InvalidInputException(
            tuned + ": is no adapter; leave out --initial-adapter, which is of one");
      } else {
        try (Checkpoint tunedCheckpoint = Checkpoint.open(context, Path.of(tuned))) {
          Pairing pairing = Pairing.of(baseCheckpoint, tunedCheckpoint, selected);
          finish(run(context, control, baseCheckpoint, tunedCheckpoint, pairing, start));
        }
      }
    }
  }

  private Context openContext() {
    return device.open(threads, spec.commandLine().getErr());
  }

  private ComparisonReport run(
      Context context,
      Control control,
      Checkpoint baseCheckpoint,
      Checkpoint tunedCheckpoint,
      Pairing pairing,
      long start)
      throws IOException {
    requireSomething(pairing);
    Comparison comparison =
        new Comparison(
            context, control, baseCheckpoint, tunedCheckpoint, !noDigest, geometryOptions());
    Journal<Comparison.Finished> journal =
        Journal.open(
            ReportDirectory.journal(out),
            Comparison.Finished.class,
            Fingerprint.of(
                List.of(baseCheckpoint, tunedCheckpoint),
                selection.command(),
                initialAdapter.orElse(""),
                noDigest,
                geometryOptions()),
            resume);
    Comparison.Outcome outcome;
    try (ProgressBar progress = new ProgressBar(control, noSpectrum)) {
      outcome = journal.during(() -> comparison.run(pairing, journal, progress));
    }
    Capabilities machine = Capabilities.query();
    return report(
        new ComparisonReport.Backend(
            context.device().name().toLowerCase(Locale.ROOT),
            context.bindingName(),
            context.threads(),
            machine.simd(),
            machine.blas()),
        source(baseCheckpoint, named(base), outcome.baseDigest()),
        source(tunedCheckpoint, named(tuned), outcome.tunedDigest()),
        pairing,
        outcome,
        start);
  }

  private ComparisonReport report(
      ComparisonReport.Backend backend,
      ComparisonReport.Source before,
      ComparisonReport.Source after,
      Pairing pairing,
      Comparison.Outcome outcome,
      long start) {
    return new ComparisonReport(
        Version.current(),
        command(),
        backend,
        before,
        after,
        seed,
        new ComparisonReport.Seconds(
            outcome.digestSeconds(), outcome.diffSeconds(), (System.nanoTime() - start) * 1e-9),
        Memory.peakRssBytes(),
        new ComparisonReport.Unmatched(
            pairing.onlyInBase(),
            pairing.onlyInTuned(),
            pairing.shapeMismatch(),
            pairing.notCompared(),
            pairing.untouched()),
        outcome.tensors(),
        outcome.geometry(),
        Claims.judge(outcome.tensors(), outcome.geometry()));
  }

  private Optional<GeometryOptions> geometryOptions() {
    return noSpectrum ? Optional.empty() : Optional.of(geometry.options(seed));
  }

  private void requireSomething(Pairing pairing) {
    if (strict) {
      List<String> problems = new ArrayList<>(pairing.onlyInBase());
      problems.addAll(pairing.onlyInTuned());
      problems.addAll(pairing.shapeMismatch());
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
                  ? "; --include and --exclude leave none"
                  : "; they share no name with the same shape and a floating-point dtype"));
    }
  }

  private static ComparisonReport.Source source(
      Checkpoint checkpoint, String path, Optional<String> digest) {
    return new ComparisonReport.Source(
        path, digest, checkpoint.tensors().size(), checkpoint.parameters());
  }

  private List<String> command() {
    List<String> command =
        new ArrayList<>(List.of("compare", named(base), named(tuned), "--out", out.toString()));
    command.addAll(selection.command());
    initialAdapter.ifPresent(path -> command.addAll(List.of("--initial-adapter", path)));
    if (strict) {
      command.add("--strict");
    }
    if (noDigest) {
      command.add("--no-digest");
    }
    command.addAll(noSpectrum ? List.of("--no-spectrum") : geometry.command());
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

  /**
   * What must be the same for a comparison to go on: the program, the files, and what is selected
   * of them.
   */
  private void finish(ComparisonReport report) throws IOException {
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
