package org.threegate.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import org.threegate.analysis.engine.Engine;
import org.threegate.analysis.engine.Failure;
import org.threegate.analysis.engine.LocalEngine;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;
import picocli.CommandLine.Option;

/** Options that choose between this machine and a Spark cluster. */
final class SparkMixin {
  /** Failures that are written out; the others are counted. */
  private static final int MOST_LINES = 20;

  @Option(
      names = "--spark",
      paramLabel = "MASTER",
      description = {
        "measure over a Spark cluster: local[*], spark://HOST:PORT, yarn, k8s://…; checkpoints are then named as executors"
            + " reach them (hdfs://…, s3a://…); under spark-submit its --master counts"
      })
  private Optional<String> master = Optional.empty();

  @Option(
      names = "--spark-conf",
      paramLabel = "KEY=VALUE",
      description = "a setting of Spark's, as often as needed")
  private Map<String, String> settings = new LinkedHashMap<>();

  private boolean isPresent() {
    if (!settings.isEmpty() && master.isEmpty() && !isSubmitted()) {
      throw new InvalidInputException("--spark-conf: belongs to --spark");
    }
    return master.isPresent() || isSubmitted();
  }

  /** By spark-submit, which has chosen a master. */
  private static boolean isSubmitted() {
    return System.getProperty("spark.master") != null;
  }

  /**
   * Opens the engine that measures: this machine, or a cluster where one was asked for.
   *
   * @param context where kernels run on this machine; the caller closes it
   */
  Engine engine(Context context) {
    return isPresent() ? cluster() : new LocalEngine(context);
  }

  private Engine cluster() {
    Engine.Provider provider =
        ServiceLoader.load(Engine.Provider.class)
            .findFirst()
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        "--spark: threegate-spark and Spark are not on the class path; the launcher ./threegate puts them there, and"
                            + " so does spark-submit"));
    try {
      return provider.open(master.orElse(""), settings);
    } catch (InvalidInputException e) {
      throw e.withProblem("--spark " + e.problem());
    }
  }

  /** The options after defaults. */
  List<String> command() {
    List<String> command = new ArrayList<>();
    master.ifPresent(name -> command.addAll(List.of("--spark", name)));
    settings.forEach((key, value) -> command.addAll(List.of("--spark-conf", key + "=" + value)));
    return command;
  }

  /** Prints what could not be measured, and returns the exit code. */
  static int report(List<Failure> failures, PrintWriter err) {
    failures.stream()
        .limit(MOST_LINES)
        .forEach(
            failure ->
                err.println(
                    PrintableText.message(
                        "threegate: tensor \""
                            + failure.tensor()
                            + "\": "
                            + Advice.settings(failure.reason()))));
    if (failures.size() > MOST_LINES) {
      err.println("threegate: and " + (failures.size() - MOST_LINES) + " more tensors");
    }
    err.flush();
    return failures.isEmpty() ? 0 : Execution.INVALID_INPUT;
  }
}
