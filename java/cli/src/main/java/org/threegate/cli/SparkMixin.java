package org.threegate.cli;

import java.io.PrintWriter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.ServiceLoader;
import org.threegate.analysis.engine.Cluster;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;
import picocli.CommandLine.Option;

/** {@code --spark}. */
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

  boolean isPresent() {
    if (!settings.isEmpty() && master.isEmpty() && !isSubmitted()) {
      throw new InvalidInputException("--spark-conf: belongs to --spark");
    }
    return master.isPresent() || isSubmitted();
  }

  /** By spark-submit, which has chosen a master. */
  private static boolean isSubmitted() {
    return System.getProperty("spark.master") != null;
  }

  Cluster open() {
    Cluster.Provider provider =
        ServiceLoader.load(Cluster.Provider.class)
            .findFirst()
            .orElseThrow(
                () ->
                    new InvalidInputException(
                        "--spark: threegate-spark and Spark are not on the class path; the launcher ./threegate puts them there, and"
                            + " so does spark-submit"));
    return provider.open(master.orElse(""), settings);
  }

  /** The options after defaults. */
  List<String> command() {
    List<String> command = new java.util.ArrayList<>();
    master.ifPresent(name -> command.addAll(List.of("--spark", name)));
    settings.forEach((key, value) -> command.addAll(List.of("--spark-conf", key + "=" + value)));
    return command;
  }

  /** Says what could not be measured; returns the exit code. */
  static int report(List<Cluster.Failure> failures, PrintWriter err) {
    failures.stream()
        .limit(MOST_LINES)
        .forEach(
            failure ->
                err.println(
                    PrintableText.message(
                        "threegate: tensor \"" + failure.tensor() + "\": " + failure.reason())));
    if (failures.size() > MOST_LINES) {
      err.println("threegate: and " + (failures.size() - MOST_LINES) + " more tensors");
    }
    err.flush();
    return failures.isEmpty() ? 0 : Execution.INVALID_INPUT;
  }
}
