package org.threegate.cli;

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
  private Main() {}

  public static void main(String[] arguments) {
    Execution.main(new Main(), TrainingException.class::isInstance, arguments);
  }

  /** Runs a command line; returns its exit code. */
  static int run(String... arguments) {
    return Execution.of(new Main(), TrainingException.class::isInstance, arguments);
  }
}
