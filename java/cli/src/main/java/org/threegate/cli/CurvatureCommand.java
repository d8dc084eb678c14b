package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Predicate;
import org.threegate.analysis.curvature.Capture;
import org.threegate.analysis.curvature.CurvatureInputs;
import org.threegate.analysis.curvature.CurvatureOptions;
import org.threegate.analysis.curvature.CurvatureStudy;
import org.threegate.analysis.curvature.LayerCurvature;
import org.threegate.analysis.curvature.SlopeUnit;
import org.threegate.analysis.journal.Fingerprint;
import org.threegate.analysis.journal.Journal;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.report.CurvatureDirectory;
import org.threegate.report.CurvatureReport;
import org.threegate.report.CurvatureText;
import org.threegate.report.Provenance;
import org.threegate.report.ReportDirectory;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate curvature}. */
@Command(
    name = "curvature",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measure curvature along an update.",
      "",
      "The Fisher information along the update and along its parts is compared with random directions"
          + " of the same length on the same tokens. All values have standard errors. Writes"
          + " curvature.json and curvature.html.",
      "",
      "A capture holds the inputs and output gradients of linear layers. threegate capture writes one;"
          + " docs/curvature.md specifies the format and has a Python script that writes it."
    },
    footer = {
      "",
      "Examples:",
      "  threegate curvature capture.safetensors --base base/ --tuned run/",
      "  threegate curvature capture.safetensors --base base/ --tuned run/ \\",
      "      --include o_proj --draws 32 --out curvature",
      "  threegate curvature capture.safetensors --base base/ --tuned run/ \\",
      "      --unit sequence --resume"
    })
final class CurvatureCommand implements Callable<Integer> {
  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      index = "0",
      paramLabel = "CAPTURE",
      description = "The capture: inputs and output gradients of layers.")
  private Path capture;

  @Input
  @Option(
      names = "--base",
      paramLabel = "DIR",
      required = true,
      description = "The checkpoint before the update.")
  private Path base;

  @Input
  @Option(
      names = "--tuned",
      paramLabel = "DIR",
      required = true,
      description = "The checkpoint after the update.")
  private Path tuned;

  @Output(Output.Kind.RESULTS)
  @Option(
      names = "--out",
      paramLabel = "DIR",
      defaultValue = "threegate-curvature",
      description = "Write the report to this directory (default: ${DEFAULT-VALUE}).")
  private Path out;

  @Mixin private Selection selection;

  @Option(
      names = "--strict",
      description =
          "Refuse checkpoints whose tensors do not all match. Layers that were not captured are no"
              + " reason.")
  private boolean strict;

  @Mixin private DeviceMixin device;

  @Option(
      names = "--rank-fraction",
      paramLabel = "SHARE",
      defaultValue = "0.1",
      description =
          "Rank of the principal subspace, as a share of the shorter side of a matrix (default:"
              + " ${DEFAULT-VALUE}).")
  private double rankFraction;

  @Option(
      names = "--alpha",
      paramLabel = "SHARE",
      defaultValue = "0.5",
      description = "Share of entries in the masks (default: ${DEFAULT-VALUE}).")
  private double alpha;

  @Option(
      names = "--draws",
      paramLabel = "N",
      defaultValue = "20",
      description = "Number of random directions of each kind (default: ${DEFAULT-VALUE}).")
  private int draws;

  @Option(
      names = "--density",
      paramLabel = "N",
      defaultValue = "0",
      description =
          "Number of random probes for the spectral density of each layer; 0 for no density. Each probe"
              + " costs twenty products with the sample (default: ${DEFAULT-VALUE}).")
  private int probes;

  @Option(
      names = "--unit",
      paramLabel = "UNIT",
      defaultValue = "token",
      description =
          "Unit whose squared directional derivatives are averaged: token or sequence. The derivative"
              + " of a sequence is the sum over its tokens (default: ${DEFAULT-VALUE}).")
  private String unit;

  @Option(
      names = "--tolerance",
      paramLabel = "T",
      defaultValue = "1e-6",
      description =
          "Largest accepted residual of the singular triplets, relative to the largest singular value"
              + " (default: ${DEFAULT-VALUE}).")
  private double tolerance;

  @Mixin private EffectMixin effect = new EffectMixin();

  @Mixin private RunMixin run = new RunMixin();

  @Option(
      names = "--resume",
      description = "Continue an interrupted measurement with the same --out.")
  private boolean resume;

  @Option(names = "--json", description = "Print curvature.json instead of the summary.")
  private boolean json;

  @Override
  public Integer call() {
    selection.predicate(); // refuse invalid options before any output exists
    options();
    effect.smallest();
    OutputPath.writingDirectory(out, this::measure);
    return 0;
  }

  private CurvatureOptions options() {
    try {
      return new CurvatureOptions(
          rankFraction, alpha, draws, probes, SlopeUnit.of(unit), tolerance, run.seed());
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException(
          "--rank-fraction, --alpha, --draws, --density, --unit or --tolerance: " + e.getMessage(),
          e);
    }
  }

  private void measure() throws IOException {
    long start = System.nanoTime();
    CurvatureOptions options = options();
    Predicate<String> selected = selection.predicate();
    Interruption.measure(
        () -> device.open(run.threads(), spec.commandLine().getErr()),
        spec.commandLine().getErr(),
        "run the same command with --resume to continue",
        (context, control) -> write(measure(context, control, selected, options, start)));
  }

  private CurvatureReport measure(
      Context context,
      Control control,
      Predicate<String> selected,
      CurvatureOptions options,
      long start)
      throws IOException {
    try (Capture samples = Capture.open(context, capture);
        Checkpoint before = Checkpoint.open(context, base);
        Checkpoint after = Checkpoint.open(context, tuned);
        ProgressBar progress = new ProgressBar(control, false);
        Journal<LayerCurvature> journal =
            Journal.open(
                ReportDirectory.journal(out),
                LayerCurvature.class,
                Fingerprint.of(
                    Version.program(),
                    List.of(samples.files(), before, after),
                    selection.command(),
                    options),
                resume)) {
      CurvatureStudy study =
          journal.during(
              () ->
                  CurvatureStudy.of(
                      context,
                      new CurvatureInputs(samples, before, after, selected, this::requireAll),
                      options,
                      journal,
                      progress,
                      control));
      return new CurvatureReport(
          new Provenance(Version.current(), command(), (System.nanoTime() - start) * 1e-9),
          capture.toString(),
          base.toString(),
          tuned.toString(),
          samples.kind().label(),
          options.unit().label(),
          samples.divergence(),
          study,
          study.findings(effect.smallest()));
    }
  }

  /** Refuses tensors that do not match or are not understood, if that was asked for. */
  private void requireAll(Accounting accounting) {
    if (strict) {
      Strictness.require(
          tuned.toString(),
          "do not match " + base,
          "measure the rest",
          List.of(accounting.base(), accounting.tuned()),
          selection.predicate());
    }
  }

  private List<String> command() {
    List<String> command = new ArrayList<>(List.of("curvature", capture.toString()));
    command.addAll(List.of("--base", base.toString(), "--tuned", tuned.toString()));
    command.addAll(List.of("--out", out.toString()));
    command.addAll(selection.command());
    if (strict) {
      command.add("--strict");
    }
    command.addAll(List.of("--rank-fraction", Double.toString(rankFraction)));
    command.addAll(List.of("--alpha", Double.toString(alpha)));
    command.addAll(List.of("--draws", Integer.toString(draws)));
    command.addAll(List.of("--density", Integer.toString(probes), "--device", device.choice()));
    command.addAll(List.of("--unit", unit));
    command.addAll(List.of("--tolerance", Double.toString(tolerance)));
    command.addAll(effect.command());
    command.addAll(run.command());
    return List.copyOf(command);
  }

  private void write(CurvatureReport report) throws IOException {
    CurvatureDirectory.write(report, out);
    if (json) {
      CurvatureDirectory.writeJson(report, System.out);
      System.out.flush();
      return;
    }
    spec.commandLine().getOut().print(CurvatureText.render(report, TerminalWidth.of(spec)));
    spec.commandLine().getOut().printf("%nreport: %s%n", out.resolve(CurvatureDirectory.HTML));
    spec.commandLine().getOut().flush();
  }
}
