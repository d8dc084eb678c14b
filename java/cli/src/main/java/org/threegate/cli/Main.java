package org.threegate.cli;

import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import org.threegate.analysis.measure.Comparison;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.kernel.KernelException;
import org.threegate.rl.train.TrainingException;
import picocli.CommandLine;
import picocli.CommandLine.Command;

/** The {@code threegate} command. */
@Command(
    name = "threegate",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description =
        "Measures what fine-tuning changes in a language model, each number beside its null model and its error.",
    subcommands = {
      CompareCommand.class,
      ConsensusCommand.class,
      CurvatureCommand.class,
      CaptureCommand.class,
      MaskCommand.class,
      InterveneCommand.class,
      InspectCommand.class,
      PatchCommand.class,
      TrainCommand.class,
      EvaluateCommand.class,
      GenerateCommand.class,
      PretrainCommand.class,
      StudyCommand.class,
      DemoCommand.class,
      DoctorCommand.class,
      CommandLine.HelpCommand.class
    },
    footer = {
      "",
      "Examples:",
      "  threegate compare base/ tuned/ --out report",
      "  threegate consensus base/ run-1/ run-2/ run-3/",
      "  threegate mask base/ --kind safe --out safe.safetensors",
      "  threegate inspect model.safetensors",
      "  threegate train --example > run.yaml; threegate train run.yaml",
      "  threegate patch create base/ tuned/ --out step.safetensors",
      "  threegate study --quick",
      "  threegate doctor"
    })
public final class Main {
  static final int INVALID_INPUT = 2;
  static final int INTERNAL = 1;
  static final int INTERRUPTED = 130;

  private Main() {}

  public static void main(String[] arguments) {
    System.exit(run(arguments));
  }

  /**
   * Runs a command line; returns its exit code: 0, 1 for a defect of ours, 2 for invalid input, 130
   * when interrupted.
   */
  static int run(String... arguments) {
    PrintWriter out =
        new PrintWriter(new java.io.OutputStreamWriter(System.out, StandardCharsets.UTF_8), true);
    PrintWriter err =
        new PrintWriter(new java.io.OutputStreamWriter(System.err, StandardCharsets.UTF_8), true);
    CommandLine command =
        new CommandLine(new Main())
            .setOut(out)
            .setErr(err)
            .setCaseInsensitiveEnumValuesAllowed(true)
            .setExitCodeExceptionMapper(Main::exitCode)
            .setExecutionExceptionHandler((e, line, parsed) -> report(e, err))
            .setParameterExceptionHandler(
                (e, parsed) -> {
                  err.println("threegate: " + oneLine(e.getMessage()) + "; see threegate help");
                  return INVALID_INPUT;
                });
    if (arguments.length == 0) {
      command.usage(out);
      return INVALID_INPUT;
    }
    try {
      return command.execute(arguments);
    } catch (UnsatisfiedLinkError e) {
      // What it says is what to do: a cache that cannot be written, a library that is missing.
      err.println("threegate: " + oneLine(e.getMessage()));
      return INVALID_INPUT;
    }
  }

  private static int report(Exception e, PrintWriter err) {
    int code = exitCode(e);
    if (code == INTERRUPTED) {
      return code;
    }
    err.println(
        "threegate: " + oneLine(code == INTERNAL ? "internal error: " + e : e.getMessage()));
    if (code == INTERNAL && Boolean.getBoolean("threegate.stacktrace")) {
      e.printStackTrace(err);
    }
    return code;
  }

  private static int exitCode(Throwable e) {
    if (e instanceof Comparison.CancelledException) {
      return INTERRUPTED;
    }
    return e instanceof InvalidInputException
            || e instanceof KernelException
            || e instanceof TrainingException
        ? INVALID_INPUT
        : INTERNAL;
  }

  private static String oneLine(String message) {
    return String.valueOf(message).replaceAll("\\R", " ");
  }
}
