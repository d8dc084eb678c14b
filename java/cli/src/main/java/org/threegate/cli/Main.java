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
        "Measure how fine-tuning changes the weights of a language model. Every number has an error and"
            + " the value of a null model.",
    subcommands = {
      CompareCommand.class,
      ConsensusCommand.class,
      MaskCommand.class,
      InterveneCommand.class,
      CurvatureCommand.class,
      CaptureCommand.class,
      CalibrateCommand.class,
      TrainCommand.class,
      EvaluateCommand.class,
      GenerateCommand.class,
      PatchCommand.class,
      StudyCommand.class,
      PretrainCommand.class,
      InspectCommand.class,
      DoctorCommand.class,
      DemoCommand.class,
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

  /** Runs a command line and returns its exit code. */
  static int run(String... arguments) {
    return Execution.of(new Main(), TrainingException.class::isInstance, arguments);
  }
}
