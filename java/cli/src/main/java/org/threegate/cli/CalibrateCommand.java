package org.threegate.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import org.threegate.analysis.calibration.Calibration;
import org.threegate.analysis.calibration.CalibrationOptions;
import org.threegate.analysis.calibration.CalibrationResult;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.report.CalibrationDocument;
import org.threegate.report.CalibrationReport;
import org.threegate.report.CalibrationText;
import org.threegate.report.Provenance;
import org.threegate.run.InvalidInputException;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate calibrate}. */
@Command(
    name = "calibrate",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Measure how often verdicts are wrong, by updates whose truth is known.",
      "",
      "The updates are made in memory from the matrices of a base checkpoint. Most of them have no"
          + " effect, so that a verdict for or against a claim is false. In others an effect is planted,"
          + " which has to be found. docs/calibration.md describes the updates and the null models."
    },
    footer = {
      "",
      "Examples:",
      "  threegate calibrate",
      "  threegate calibrate base/ --layers 6 --seeds 2",
      "  threegate calibrate base/ --full --json > calibration.json"
    })
final class CalibrateCommand implements Callable<Integer> {
  private static final String SAMPLE = "the embedded sample";

  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      paramLabel = "BASE",
      arity = "0..1",
      description = "The base checkpoint. Without it, a small embedded sample is used.")
  private Optional<Path> base = Optional.empty();

  @Mixin private Selection selection;

  @Option(
      names = "--full",
      description = "Use larger matrices, more layers and more updates of each kind.")
  private boolean full;

  @Option(
      names = "--seeds",
      paramLabel = "N",
      description = "Number of updates of each kind (default: 1; with --full, 3).")
  private Optional<Integer> seeds = Optional.empty();

  @Option(
      names = "--layers",
      paramLabel = "N",
      description = "Largest number of layers, evenly spread (default: 3; with --full, 6).")
  private Optional<Integer> layers = Optional.empty();

  @Option(
      names = "--side",
      paramLabel = "N",
      description =
          "Largest number of rows and of columns; larger matrices are cropped (default: 256; with"
              + " --full, 512).")
  private Optional<Integer> side = Optional.empty();

  @Mixin private EffectMixin effect = new EffectMixin();

  @Mixin private RunMixin run = new RunMixin();

  @Option(names = "--json", description = "Print one JSON document instead of the tables.")
  private boolean json;

  @Override
  public Integer call() throws IOException {
    selection.predicate(); // refuse invalid options before anything is measured
    options();
    long start = System.nanoTime();
    // The sample is deleted before Ctrl-C ends the process, because this waits for the body only.
    Interruption.measure(
        run::open,
        spec.commandLine().getErr(),
        "nothing was written",
        (context, control) -> {
          if (base.isPresent()) {
            String name = base.get().toString();
            write(measure(context, control, base.get()), name, start);
          } else {
            try (Sample sample = Sample.extract()) {
              write(measure(context, control, sample.base()), SAMPLE, start);
            }
          }
        });
    return 0;
  }

  private CalibrationOptions options() {
    CalibrationOptions defaults = full ? CalibrationOptions.FULL : CalibrationOptions.DEFAULT;
    try {
      return new CalibrationOptions(
          layers.orElse(defaults.layers()),
          side.orElse(defaults.side()),
          seeds.orElse(defaults.seeds()),
          defaults.geometry().withSeed(run.seed()),
          effect.smallest());
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("--layers, --side or --seeds: " + e.getMessage(), e);
    }
  }

  private CalibrationResult measure(Context context, Control control, Path path) {
    try (Checkpoint checkpoint = Checkpoint.open(context, path);
        ProgressBar progress = new ProgressBar(control, false)) {
      return Calibration.of(
          context, checkpoint, selection.predicate(), options(), progress, control);
    }
  }

  private List<String> command() {
    CalibrationOptions options = options();
    List<String> command = new ArrayList<>(List.of("calibrate"));
    base.ifPresent(path -> command.add(path.toString()));
    command.addAll(selection.command());
    command.addAll(List.of("--seeds", Integer.toString(options.seeds())));
    command.addAll(List.of("--layers", Integer.toString(options.layers())));
    command.addAll(List.of("--side", Integer.toString(options.side())));
    command.addAll(effect.command());
    command.addAll(run.command());
    return List.copyOf(command);
  }

  private void write(CalibrationResult result, String name, long start) throws IOException {
    CalibrationReport report =
        new CalibrationReport(
            new Provenance(Version.current(), command(), (System.nanoTime() - start) * 1e-9),
            name,
            result);
    if (json) {
      CalibrationDocument.write(report, System.out);
      System.out.flush();
      return;
    }
    spec.commandLine().getOut().print(CalibrationText.render(report, TerminalWidth.of(spec)));
    spec.commandLine().getOut().flush();
  }
}
