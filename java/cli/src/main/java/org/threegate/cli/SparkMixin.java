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
import org.threegate.run.MemoryBudget;
import org.threegate.run.PrintableText;
import picocli.CommandLine.Option;

/** Options that choose between this machine and a Spark cluster. */
final class SparkMixin {
  /** Largest number of failures that are printed one by one; the rest is only counted. */
  private static final int MOST_LINES = 20;

  @Option(
      names = "--spark",
      paramLabel = "MASTER",
      description = {
        "Measure on this Spark cluster: local[*] or spark://HOST:PORT. Executors must be able to read"
            + " the checkpoints (hdfs://…, s3a://…). Other clusters need spark-submit, which has its own"
            + " --master."
      })
  private Optional<String> master = Optional.empty();

  @Option(
      names = "--spark-conf",
      paramLabel = "KEY=VALUE",
      description = "Spark setting, for --spark. May be repeated.")
  private Map<String, String> settings = new LinkedHashMap<>();

  private boolean isPresent() {
    if (!settings.isEmpty() && master.isEmpty() && !isSubmitted()) {
      throw new InvalidInputException("--spark-conf: only allowed with --spark");
    }
    return master.isPresent() || isSubmitted();
  }

  /** Returns whether spark-submit started this process. It has then chosen a master. */
  private static boolean isSubmitted() {
    return System.getProperty("spark.master") != null;
  }

  /**
   * Opens the engine that measures: a cluster if one was chosen, and otherwise this machine.
   *
   * @param context context for kernels on this machine; the caller closes it
   */
  Engine engine(Context context) {
    return engine(context, MemoryBudget.ofMachine());
  }

  /**
   * Opens the engine that measures, as the other overload does.
   *
   * @param context context for kernels on this machine; the caller closes it
   * @param memory memory for geometries on this machine
   */
  Engine engine(Context context, MemoryBudget memory) {
    return isPresent() ? cluster() : new LocalEngine(context, memory);
  }

  private Engine cluster() {
    Engine.Provider provider =
        ServiceLoader.load(Engine.Provider.class)
            .findFirst()
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        "--spark: threegate-spark and Spark are not on the class path; start with the"
                            + " launcher ./threegate or with spark-submit"));
    try {
      return provider.open(master.orElse(""), settings);
    } catch (InvalidInputException e) {
      throw e.withProblem("--spark " + e.problem());
    }
  }

  /** Returns these options as arguments of a command line. */
  List<String> command() {
    List<String> command = new ArrayList<>();
    master.ifPresent(name -> command.addAll(List.of("--spark", name)));
    settings.forEach((key, value) -> command.addAll(List.of("--spark-conf", key + "=" + value)));
    return command;
  }

  /** Prints the tensors that could not be measured, and returns the exit code. */
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
      err.println(
          "threegate: " + (failures.size() - MOST_LINES) + " more tensors could not be measured");
    }
    err.flush();
    return failures.isEmpty() ? 0 : Execution.INVALID_INPUT;
  }
}
