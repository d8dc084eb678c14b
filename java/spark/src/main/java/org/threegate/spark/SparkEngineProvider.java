package org.threegate.spark;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.SparkSession;
import org.threegate.analysis.engine.Engine;
import org.threegate.run.InvalidInputException;

/** Opens a Spark session for a command. */
public final class SparkEngineProvider implements Engine.Provider {
  private static final String LOOPBACK = "127.0.0.1";
  private static final String STANDALONE = "spark://";
  private static final String YARN = "yarn";
  private static final String KUBERNETES = "k8s://";
  private static final String KUBERNETES_MANAGER =
      "org.apache.spark.scheduler.cluster.k8s.KubernetesClusterManager";
  private static final int PATIENCE_MILLIS = 10_000;

  @Override
  public Engine open(String master, Map<String, String> settings) {
    SparkConf conf = new SparkConf();
    if (!master.isEmpty()) {
      conf.setMaster(master);
      requireSomebody(master);
    }
    conf.setIfMissing("spark.app.name", "threegate");
    conf.setIfMissing("spark.ui.showConsoleProgress", "false");
    // The number of results grows with the number of tensors; do not limit their size.
    conf.setIfMissing("spark.driver.maxResultSize", "0");
    boolean isLocal = conf.get("spark.master", "").startsWith("local");
    if (isLocal) {
      conf.setIfMissing("spark.ui.enabled", "false");
      conf.setIfMissing("spark.driver.host", LOOPBACK);
      conf.setIfMissing("spark.driver.bindAddress", LOOPBACK);
    }
    boolean isSent = isLocal || master.isEmpty(); // spark-submit adds the jar of the program
    Jars.add(conf, settings, isSent ? List.of() : jar().stream().toList());
    settings.entrySet().stream()
        .filter(setting -> !setting.getKey().equals(Jars.JARS))
        .forEach(setting -> conf.set(setting.getKey(), setting.getValue()));
    requireManager(master);
    try {
      return new SparkEngine(SparkSession.builder().config(conf).getOrCreate(), true);
    } catch (Exception e) { // Scala also throws checked exceptions without declaring them
      throw new InvalidInputException(
          conf.get("spark.master", "")
              + ": "
              + Reasons.line(e)
              + "; check the address of the master",
          e);
    }
  }

  /** Checks that the master answers. Spark itself takes a minute to notice that it does not. */
  private static void requireSomebody(String master) {
    if (!master.startsWith(STANDALONE)) {
      return;
    }
    String reason = "no HOST:PORT";
    for (String address : master.substring(STANDALONE.length()).split(",")) {
      int colon = address.lastIndexOf(':');
      try (Socket probe = new Socket()) {
        int port = Integer.parseInt(address.substring(colon + 1));
        probe.connect(
            new InetSocketAddress(address.substring(0, Math.max(colon, 0)), port), PATIENCE_MILLIS);
        return;
      } catch (IOException | IllegalArgumentException e) {
        reason = Reasons.line(e);
      }
    }
    throw new InvalidInputException(
        master + ": no answer (" + reason + "); check the address of the master");
  }

  /** Checks that Spark can ask this kind of cluster for executors. */
  private static void requireManager(String master) {
    if (master.startsWith(KUBERNETES) && !isLoadable(KUBERNETES_MANAGER)) {
      throw new InvalidInputException(
          master
              + ": this program has no client for Kubernetes; add it with --spark-conf "
              + Jars.PACKAGES
              + "=org.apache.spark:spark-kubernetes_2.13:"
              + org.apache.spark.package$.MODULE$.SPARK_VERSION());
    }
    if (master.equals(YARN)
        && Stream.of("HADOOP_CONF_DIR", "YARN_CONF_DIR").noneMatch(System.getenv()::containsKey)) {
      throw new InvalidInputException(
          "yarn: the address of the cluster is unknown; set HADOOP_CONF_DIR to the directory with"
              + " yarn-site.xml");
    }
  }

  private static boolean isLoadable(String name) {
    try {
      Class.forName(name, false, Thread.currentThread().getContextClassLoader());
      return true;
    } catch (ClassNotFoundException e) {
      return false;
    }
  }

  /** Returns the jar to send to executors, if this program runs from one jar. */
  private static Optional<Path> jar() {
    CodeSource source = SparkEngineProvider.class.getProtectionDomain().getCodeSource();
    try {
      return source == null
          ? Optional.empty()
          : Optional.of(Path.of(source.getLocation().toURI()))
              .filter(path -> path.toString().endsWith(".jar"));
    } catch (URISyntaxException e) {
      return Optional.empty();
    }
  }
}
