package org.threegate.cli;

import picocli.CommandLine;
import picocli.CommandLine.Command;

/** Entry point of the jar for {@code spark-submit}: the commands that run on a cluster. */
@Command(
    name = "threegate",
    mixinStandardHelpOptions = true,
    versionProvider = Version.class,
    description =
        "Measure how fine-tuning changes the weights of a language model, on Apache Spark.",
    subcommands = {
      CompareCommand.class,
      ConsensusCommand.class,
      MaskCommand.class,
      InspectCommand.class,
      DoctorCommand.class,
      CommandLine.HelpCommand.class
    },
    footer = {
      "",
      "Examples:",
      "  spark-submit --master yarn threegate-spark.jar compare hdfs:///base \\",
      "      hdfs:///tuned --out report",
      "  spark-submit threegate-spark.jar consensus s3a://lab/base s3a://lab/run-1 \\",
      "      s3a://lab/run-2"
    })
public final class ClusterMain {
  private ClusterMain() {}

  public static void main(String[] arguments) {
    Execution.main(new ClusterMain(), e -> false, arguments);
  }
}
