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
import org.apache.spark.SparkConf;
import org.apache.spark.sql.SparkSession;
import org.threegate.analysis.engine.Engine;
import org.threegate.run.InvalidInputException;

/** Opens a Spark session for a command. */
public final class SparkEngineProvider implements Engine.Provider {
  /** Creates a provider. {@link java.util.ServiceLoader} calls this. */
  public SparkEngineProvider() {}

  private static final String LOOPBACK = "127.0.0.1";
  private static final String STANDALONE = "spark://";
  private static final int PATIENCE_MILLIS = 10_000;

  @Override
  public Engine open(String master, Map<String, String> settings) {
    requireManager(master);
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

  /** Checks that this program has a client for this kind of cluster. */
  private static void requireManager(String master) {
    if (master.equals("yarn") || master.startsWith("k8s://")) {
      throw new InvalidInputException(
          master
              + ": this program has no client for such a cluster; start threegate-spark.jar with the"
              + " spark-submit of an installed Spark "
              + org.apache.spark.package$.MODULE$.SPARK_VERSION()
              + " and this master");
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
