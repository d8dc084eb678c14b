package org.threegate.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.UncheckedIOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.logging.Level;
import java.util.logging.Logger;
import org.threegate.report.Account;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.observe.ConsoleCompletions;
import org.threegate.rl.observe.ConsoleProgress;
import org.threegate.rl.policy.ModelDevice;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.rollout.PassRate;
import org.threegate.rl.run.TrainingConfig;
import org.threegate.rl.run.TrainingConfigs;
import org.threegate.rl.run.TrainingRun;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** {@code threegate train}. */
@Command(
    name = "train",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = {
      "Fine-tune a decoder with verifiable rewards or by supervision.",
      "",
      "The run also measures how its weights change. A run that is killed and resumed writes the same"
          + " bytes as a run without interruption. docs/training.md lists all keys of the configuration."
    },
    footer = {
      "",
      "Examples:",
      "  threegate train --example > run.yaml",
      "  threegate train run.yaml",
      "  threegate train run.yaml --set max_steps=200 --set learning_rate=3e-5 \\",
      "      --set output_dir=run-2",
      "  threegate train run.yaml --resume"
    })
final class TrainCommand implements Callable<Integer> {
  /**
   * The HTTP client in that of MLflow, which logs each attempt. The logger has to stay reachable.
   */
  private static final Logger CLIENT = Logger.getLogger("org.mlflow_project.apachehttp");

  @Spec private CommandSpec spec;

  @Input
  @Parameters(
      arity = "0..1",
      paramLabel = "CONFIG.yaml",
      description = "The configuration of the run. --example prints one with every key.")
  private Optional<Path> config = Optional.empty();

  @Option(names = "--example", description = "Print a commented configuration.")
  private boolean example;

  @Option(
      names = "--set",
      paramLabel = "KEY=VALUE",
      description = "Override a key of the configuration. May be repeated.")
  private List<String> changes = new ArrayList<>();

  @Option(names = "--resume", description = "Continue the run from its last checkpoint.")
  private boolean resume;

  @Override
  public Integer call() {
    if (example) {
      print(TrainingConfigs.example());
      return 0;
    }
    Path file =
        config.orElseThrow(
            () -> new InvalidInputException("a configuration is missing; --example prints one"));
    TrainingConfig settings = TrainingConfigs.read(file, changes(), "--set");
    Path output = settings.run().outputDir();
    List<Path> inputs = new ArrayList<>(settings.inputs());
    if (!resume) {
      inputs.add(file);
    }
    OutputGuard.check(output, Output.Kind.RESULTS, inputs);
    // Files of an earlier run in this directory may be links to an input.
    TrainingRun.parts(settings)
        .forEach(part -> OutputGuard.check(part, Output.Kind.IN_PLACE, settings.inputs()));
    OutputPath.writingDirectory(output, () -> train(settings));
    return 0;
  }

  private Map<String, String> changes() {
    Map<String, String> values = new LinkedHashMap<>();
    for (String change : changes) {
      int equals = change.indexOf('=');
      if (equals < 1) {
        throw new InvalidInputException("--set " + change + ": not of the form KEY=VALUE");
      }
      values.put(change.substring(0, equals).strip(), change.substring(equals + 1));
    }
    return values;
  }

  private void train(TrainingConfig settings) throws IOException {
    Path output = settings.run().outputDir();
    if (!resume && TrainingRun.exists(output)) {
      throw new InvalidInputException(
          output
              + ": already holds a run; continue it with --resume, or choose another output_dir");
    }
    CLIENT.setLevel(Level.OFF);
    int threads = settings.model().threads();
    Threads.use(threads > 0 ? threads : Runtime.getRuntime().availableProcessors());
    ModelPlace.use("device", settings.model().device());
    Interruption.measure(
        ModelDevice::openContext,
        spec.commandLine().getErr(),
        "run the same command with --resume to continue",
        (context, control) -> {
          try (TrainingRun run = TrainingRun.open(context, control, settings, resume)) {
            OutputPath.begin(output);
            Path result = run.run(new Console(), progress(settings)).path();
            print(
                String.format(
                    "%s: %s%nto see what changed: threegate compare %s %s%n",
                    result.getFileName(), result, settings.modelDirectory(), result));
          } catch (UncheckedIOException e) {
            throw e.getCause();
          }
        });
  }

  private static List<TrainingObserver> progress(TrainingConfig settings) {
    TrainingConfig.Logging logging = settings.observation().logging();
    List<TrainingObserver> observers = new ArrayList<>();
    if (logging.loggingSteps() > 0) {
      observers.add(
          new ConsoleProgress(System.err, settings.run().maxSteps(), logging.loggingSteps()));
    }
    if (logging.numCompletionsToPrint() > 0) {
      observers.add(
          new ConsoleCompletions(
              System.err, logging.numCompletionsToPrint(), logging.completionSteps()));
    }
    return observers;
  }

  private void print(String text) {
    PrintWriter out = spec.commandLine().getOut();
    out.print(text);
    out.flush();
  }

  /** Prints the address of the live page, the weights without a mask, and the evaluations. */
  private final class Console implements TrainingRun.Listener {
    @Override
    public void stopped(long step, long best) {
      print(
          String.format(
              Locale.ROOT,
              "step %d: the run ends early; the evaluation after step %d was the best one%n",
              step,
              best));
    }

    @Override
    public void unreported(String message) {
      spec.commandLine().getErr().println("threegate: " + message);
    }

    @Override
    public void serves(URI page) {
      spec.commandLine().getErr().println("threegate: live page: " + page);
    }

    @Override
    public void leftOut(Map<String, String> reasons) {
      LeftOut.tell(reasons, line -> print(line + System.lineSeparator()));
    }

    @Override
    public void unmasked(List<String> names) {
      print(
          String.format(
              Locale.ROOT,
              "weight_mask: %,d weights have no mask and may move everywhere: %s%n",
              names.size(),
              PrintableText.of(Account.few(names))));
    }

    @Override
    public void evaluated(long step, PassRate rate) {
      print(
          String.format(
              Locale.ROOT,
              "step %d: pass@1 %.4f [%.4f, %.4f] of %d problems%n",
              step,
              rate.value(),
              rate.low(),
              rate.high(),
              rate.problems()));
    }
  }
}
