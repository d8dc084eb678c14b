package org.threegate.spark;

import java.io.File;
import java.io.IOException;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.spark.sql.SparkSession;
import org.threegate.testing.ChildJvm;

/** Runs a Spark master and workers in separate processes on the loopback address. */
final class StandaloneCluster {
  private static final String LOOPBACK = "127.0.0.1";
  private static final long PATIENCE_SECONDS = 60;

  private final Path home;
  private final int port;
  private final List<Process> processes = new ArrayList<>();

  StandaloneCluster(Path home) throws Exception {
    this.home = home;
    Path jars = Files.createDirectories(home.resolve("jars"));
    for (String entry : classPath()) {
      if (entry.endsWith(".jar")) {
        Path jar = Path.of(entry);
        Files.createSymbolicLink(jars.resolve(jar.getFileName()), jar);
      }
    }
    try (ServerSocket free = new ServerSocket(0, 1, InetAddress.getByName(LOOPBACK))) {
      port = free.getLocalPort();
    }
    processes.add(
        start(
            Map.of(),
            "org.apache.spark.deploy.master.Master",
            "--host",
            LOOPBACK,
            "--port",
            Integer.toString(port),
            "--webui-port",
            "0"));
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(PATIENCE_SECONDS);
    while (true) {
      try (Socket probe = new Socket(LOOPBACK, port)) {
        probe.getOutputStream();
        return;
      } catch (IOException e) {
        if (System.nanoTime() > end) {
          throw e;
        }
        Thread.sleep(100);
      }
    }
  }

  private static List<String> classPath() {
    return List.of(System.getProperty("java.class.path").split(File.pathSeparator));
  }

  /** Starts a worker with one core on its own host. Its executors inherit its environment. */
  Process work(Map<String, String> environment) throws IOException {
    int number = processes.size();
    // Spark starts a speculative copy of a task only on another host.
    String host = "127.0.0." + (number + 1);
    Map<String, String> own = new HashMap<>(environment);
    own.put("SPARK_LOCAL_IP", host);
    Process worker =
        start(
            own,
            "org.apache.spark.deploy.worker.Worker",
            "--host",
            host,
            "--cores",
            "1",
            "--memory",
            "2g",
            "--webui-port",
            "0",
            "--work-dir",
            home.resolve("work-" + number).toString(),
            master());
    processes.add(worker);
    return worker;
  }

  String master() {
    return "spark://" + LOOPBACK + ":" + port;
  }

  /** Opens a session whose executors have the class path and options of this test. */
  SparkSession session(Map<String, String> settings) {
    awaitStopped();
    SparkSession.Builder builder =
        SparkSession.builder()
            .master(master())
            .appName("threegate")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", LOOPBACK)
            .config("spark.driver.bindAddress", LOOPBACK)
            .config("spark.executor.memory", "512m")
            .config("spark.executor.extraClassPath", directories())
            .config("spark.executor.extraJavaOptions", inherited());
    settings.forEach(builder::config);
    return builder.getOrCreate();
  }

  /**
   * Waits for a context that Spark stops in the background because its cluster gave up. A session
   * must not be built on it.
   */
  private static void awaitStopped() {
    for (Thread thread : Thread.getAllStackTraces().keySet()) {
      if (thread.getName().startsWith("stop-spark-context")) {
        try {
          thread.join();
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new IllegalStateException(e);
        }
      }
    }
  }

  static String directories() {
    return classPath().stream()
        .filter(entry -> !entry.endsWith(".jar"))
        .collect(Collectors.joining(File.pathSeparator));
  }

  /** Returns the options of this JVM that executors need. */
  static String inherited() {
    return String.join(" ", options());
  }

  private static List<String> options() {
    List<String> options = new ArrayList<>(ChildJvm.inherited());
    String binding = System.getProperty("threegate.binding", "");
    if (!binding.isEmpty()) {
      options.add("-Dthreegate.binding=" + binding);
    }
    if (Runtime.version().feature() >= 22) {
      options.add("--enable-native-access=ALL-UNNAMED");
    }
    return options;
  }

  /** Returns the executors that are alive. */
  List<ProcessHandle> executors() {
    return processes.stream()
        .flatMap(Process::descendants)
        .filter(
            handle ->
                handle.info().commandLine().orElse("").contains("CoarseGrainedExecutorBackend"))
        .toList();
  }

  /** Starts a JVM with the class path of this one. */
  Process start(Map<String, String> environment, String main, String... arguments)
      throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "@"
                    + Path.of(
                        System.getProperty("threegate.root"), "java", "spark", "jvm.options")));
    command.addAll(options());
    command.addAll(List.of("-Xmx512m", "-cp", System.getProperty("java.class.path"), main));
    command.addAll(List.of(arguments));
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("SPARK_HOME", home.toString());
    builder.environment().put("SPARK_LOCAL_IP", LOOPBACK);
    builder.environment().put("SPARK_SCALA_VERSION", "2.13");
    builder.environment().putAll(environment);
    builder.redirectErrorStream(true);
    builder.redirectOutput(
        home.resolve(main.substring(main.lastIndexOf('.') + 1) + "-" + processes.size() + ".log")
            .toFile());
    return builder.start();
  }

  void stop() throws InterruptedException {
    for (Process process : processes) {
      process.descendants().forEach(ProcessHandle::destroyForcibly);
      process.destroyForcibly();
    }
    for (Process process : processes) {
      process.waitFor();
    }
  }
}
