package org.threegate.spark;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.URISyntaxException;
import java.nio.file.Path;
import java.security.CodeSource;
import java.util.Map;
import java.util.Optional;
import org.apache.spark.SparkConf;
import org.apache.spark.sql.SparkSession;
import org.threegate.analysis.engine.Engine;
import org.threegate.run.InvalidInputException;

/** Opens a Spark session for a command. */
public final class SparkEngineProvider implements Engine.Provider {
  private static final String LOOPBACK = "127.0.0.1";
  private static final String STANDALONE = "spark://";
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
    if (conf.get("spark.master", "").startsWith("local")) {
      conf.setIfMissing("spark.ui.enabled", "false");
      conf.setIfMissing("spark.driver.host", LOOPBACK);
      conf.setIfMissing("spark.driver.bindAddress", LOOPBACK);
    } else {
      jar().ifPresent(jar -> conf.setIfMissing("spark.jars", jar.toString()));
    }
    settings.forEach(conf::set);
    try {
      return new SparkEngine(SparkSession.builder().config(conf).getOrCreate(), true);
    } catch (RuntimeException e) {
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
