package org.threegate.rl.observe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.Executors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.run.InvalidInputException;

/** The observer against a server with the part of MLflow's REST interface that it uses. */
@Timeout(60)
class MlflowObserverTest {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final MlflowPatience PATIENCE =
      new MlflowPatience(Duration.ofSeconds(20), Duration.ofSeconds(20), Duration.ofMillis(10));

  @TempDir Path directory;

  private final List<String> troubles = new CopyOnWriteArrayList<>();
  private Tracking tracking;

  /** Keeps what it is sent. */
  private static final class Tracking implements AutoCloseable {
    private final HttpServer server;
    private final Map<String, String> experiments = new TreeMap<>();
    private final Map<String, Map<String, List<Double>>> metrics = new TreeMap<>();
    private final Map<String, Map<String, List<Long>>> steps = new TreeMap<>();
    private final Map<String, Map<String, String>> parameters = new TreeMap<>();
    private final Map<String, String> status = new TreeMap<>();
    private final List<Integer> batches = new ArrayList<>();
    private int failing; // requests that are answered with status 503
    private int refusing; // the status of batches, where it is not 0
    private boolean isSilent;

    Tracking() throws IOException {
      server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0);
      server.createContext("/api/2.0/mlflow/", this::answer);
      server.setExecutor(Executors.newCachedThreadPool());
      server.start();
    }

    URI address() {
      return URI.create("http://127.0.0.1:" + server.getAddress().getPort() + "/");
    }

    private void answer(HttpExchange exchange) throws IOException {
      String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
      String call = exchange.getRequestURI().getPath().replace("/api/2.0/mlflow/", "");
      boolean silent;
      synchronized (this) {
        silent = isSilent;
      }
      if (silent) {
        return; // the connection stays open
      }
      int code;
      String text;
      try {
        synchronized (this) {
          if (failing > 0) {
            failing--;
            throw new Failure(503, "TEMPORARILY_UNAVAILABLE");
          }
          text =
              answer(call, exchange.getRequestURI().getQuery(), MAPPER.readTree(body)).toString();
        }
        code = 200;
      } catch (Failure e) {
        code = e.code;
        text = MAPPER.createObjectNode().put("error_code", e.getMessage()).toString();
      }
      byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
      exchange.sendResponseHeaders(code, bytes.length);
      exchange.getResponseBody().write(bytes);
      exchange.close();
    }

    private static final class Failure extends RuntimeException {
      private static final long serialVersionUID = 1L;
      private final int code;

      Failure(int code, String message) {
        super(message);
        this.code = code;
      }
    }

    private JsonNode answer(String call, String query, JsonNode body) {
      switch (call) {
        case "experiments/get-by-name":
          String name = query.replaceAll(".*experiment_name=", "");
          if (!experiments.containsKey(name)) {
            throw new Failure(404, "RESOURCE_DOES_NOT_EXIST");
          }
          return MAPPER
              .createObjectNode()
              .set(
                  "experiment",
                  MAPPER.createObjectNode().put("experiment_id", experiments.get(name)));
        case "experiments/create":
          experiments.put(body.get("name").asText(), String.valueOf(experiments.size() + 1));
          return MAPPER
              .createObjectNode()
              .put("experiment_id", experiments.get(body.get("name").asText()));
        case "runs/create":
          String run = "run" + (metrics.size() + 1);
          assertThat(experiments).containsValue(body.get("experiment_id").asText());
          metrics.put(run, new TreeMap<>());
          steps.put(run, new TreeMap<>());
          parameters.put(run, new TreeMap<>(Map.of("name", body.get("run_name").asText())));
          status.put(run, "RUNNING");
          return MAPPER
              .createObjectNode()
              .set(
                  "run",
                  MAPPER
                      .createObjectNode()
                      .set("info", MAPPER.createObjectNode().put("run_id", run)));
        case "runs/get":
          return got(query.replaceAll(".*run_id=([^&]*).*", "$1"));
        case "runs/log-batch":
          return logged(body);
        case "runs/update":
          status.put(body.get("run_id").asText(), body.get("status").asText());
          return MAPPER.createObjectNode();
        default:
          throw new Failure(404, "ENDPOINT_NOT_FOUND");
      }
    }

    private JsonNode got(String run) {
      if (!metrics.containsKey(run)) {
        throw new Failure(404, "RESOURCE_DOES_NOT_EXIST");
      }
      List<JsonNode> latest = new ArrayList<>();
      steps
          .get(run)
          .forEach(
              (key, all) ->
                  latest.add(
                      MAPPER
                          .createObjectNode()
                          .put("key", key)
                          .put("step", all.get(all.size() - 1))));
      return MAPPER
          .createObjectNode()
          .set(
              "run",
              MAPPER
                  .createObjectNode()
                  .set(
                      "data",
                      MAPPER.createObjectNode().set("metrics", MAPPER.valueToTree(latest))));
    }

    private JsonNode logged(JsonNode body) {
      if (refusing != 0) {
        throw new Failure(refusing, "INVALID_PARAMETER_VALUE");
      }
      String run = body.get("run_id").asText();
      batches.add(body.path("metrics").size());
      body.path("metrics")
          .forEach(
              metric -> {
                String key = metric.get("key").asText();
                metrics
                    .get(run)
                    .computeIfAbsent(key, any -> new ArrayList<>())
                    .add(metric.get("value").asDouble(Double.NaN));
                steps
                    .get(run)
                    .computeIfAbsent(key, any -> new ArrayList<>())
                    .add(metric.path("step").asLong());
              });
      body.path("params")
          .forEach(
              parameter ->
                  parameters
                      .get(run)
                      .put(parameter.get("key").asText(), parameter.get("value").asText()));
      return MAPPER.createObjectNode();
    }

    synchronized void fails(int requests) {
      failing = requests;
    }

    synchronized void refuses(int code) {
      refusing = code;
    }

    synchronized void isSilent(boolean silent) {
      isSilent = silent;
    }

    synchronized List<Long> steps(String run, String key) {
      return List.copyOf(steps.get(run).getOrDefault(key, List.of()));
    }

    synchronized List<Double> values(String run, String key) {
      return List.copyOf(metrics.get(run).getOrDefault(key, List.of()));
    }

    synchronized Map<String, String> parameters(String run) {
      return Map.copyOf(parameters.get(run));
    }

    synchronized String status(String run) {
      return status.get(run);
    }

    synchronized List<Integer> batches() {
      return List.copyOf(batches);
    }

    synchronized int runs() {
      return metrics.size();
    }

    @Override
    public void close() {
      server.stop(0);
    }
  }

  @BeforeEach
  void start() throws IOException {
    tracking = new Tracking();
  }

  @AfterEach
  void stop() {
    tracking.close();
  }

  private MlflowTarget target() {
    return new MlflowTarget(
        tracking.address(), "sums", "first", Map.of("seed", "7", "long", "x".repeat(9_999)));
  }

  private Path identity() {
    return directory.resolve("mlflow.json");
  }

  private MlflowObserver open(List<Path> lines, long step) throws IOException {
    return MlflowObserver.open(target(), identity(), lines, step, troubles::add, PATIENCE);
  }

  private static TrainingEvent measured(long step, double value) {
    return new TrainingEvent.Measured(
        step, "evaluation", Map.of("pass@1", value, "clip_ratio/low", Double.NaN));
  }

  @Test
  void metricsHaveTheirStepsAndNamesThatMlflowAllows() throws IOException {
    try (MlflowObserver observer = open(List.of(), 0)) {
      observer.on(measured(1, 0.25));
      observer.on(measured(2, 0.5));
      observer.finish();
    }
    assertThat(tracking.values("run1", "pass_at_1")).containsExactly(0.25, 0.5);
    assertThat(tracking.steps("run1", "pass_at_1")).containsExactly(1L, 2L);
    assertThat(tracking.values("run1", "clip_ratio/low")).containsExactly(Double.NaN, Double.NaN);
    assertThat(tracking.parameters("run1"))
        .containsEntry("seed", "7")
        .containsEntry("name", "first");
    assertThat(tracking.parameters("run1").get("long")).hasSize(500);
    assertThat(tracking.status("run1")).isEqualTo("FINISHED");
    assertThat(troubles).isEmpty();
    assertThat(MlflowSender.key("a:b@2 c/d-e.f_g\n\u00e9")).isEqualTo("a_b_at_2 c/d-e.f_g__");
  }

  /** The run was killed after step 3, and resumes from step 2. The server missed step 2. */
  @Test
  void aResumedRunSendsWhatIsMissingAndNothingTwice() throws IOException {
    Path lines = directory.resolve("metrics.jsonl");
    try (JsonLines file = JsonLines.open(lines, 0);
        MlflowObserver observer = open(List.of(), 0)) {
      observer.on(measured(1, 0.1));
      file.on(measured(1, 0.1));
      file.on(measured(2, 0.2));
      file.on(measured(3, 0.3));
    }
    Files.writeString(
        lines,
        "{\"step\":2,\"event\":\"update\",\"update\":1,\"pass@1\":0.7}\n{\"step\":2,\"even",
        java.nio.file.StandardOpenOption.APPEND);
    assertThat(tracking.status("run1")).isEqualTo("KILLED");
    try (MlflowObserver observer = open(List.of(lines, directory.resolve("none.jsonl")), 2)) {
      assertThat(tracking.status("run1")).isEqualTo("RUNNING");
      observer.on(measured(3, 0.3));
      observer.finish();
    }
    assertThat(tracking.steps("run1", "pass_at_1")).containsExactly(1L, 2L, 3L);
    assertThat(tracking.values("run1", "pass_at_1")).containsExactly(0.1, 0.2, 0.3);
    assertThat(tracking.runs()).isOne();
    assertThat(tracking.status("run1")).isEqualTo("FINISHED");
    // Steps that the server already has are left out when they are repeated.
    try (MlflowObserver observer = open(List.of(), 1)) {
      observer.on(measured(2, 0.2));
      observer.on(measured(3, 0.3));
      observer.on(measured(4, 0.4));
    }
    assertThat(tracking.steps("run1", "pass_at_1")).containsExactly(1L, 2L, 3L, 4L);
    // A new run of the directory is a new one on the server.
    open(List.of(), 0).close();
    assertThat(tracking.runs()).isEqualTo(2);
  }

  @Test
  void metricsWaitForTheServer() throws IOException {
    try (MlflowObserver observer = open(List.of(), 0)) {
      tracking.fails(8);
      observer.on(measured(1, 0.1));
      observer.on(measured(2, 0.2));
      observer.finish();
    }
    assertThat(tracking.steps("run1", "pass_at_1")).containsExactly(1L, 2L);
    assertThat(tracking.status("run1")).isEqualTo("FINISHED");
    assertThat(troubles).hasSizeLessThanOrEqualTo(1);
  }

  @Test
  void aRequestHasAtMostThousandMetrics() throws IOException {
    Map<String, Double> many = new TreeMap<>();
    for (int i = 0; i < 2_500; i++) {
      many.put("m" + i, (double) i);
    }
    try (MlflowObserver observer = open(List.of(), 0)) {
      observer.on(new TrainingEvent.Measured(1, "many", many));
    }
    // The first request has the parameters.
    assertThat(tracking.batches()).containsExactly(0, 1_000, 1_000, 500);
  }

  @Test
  void aServerThatRefusesMetricsIsLeftAlone() throws IOException {
    MlflowObserver observer = open(List.of(), 0);
    tracking.refuses(400);
    observer.on(measured(1, 0.1));
    observer.close();
    assertThat(troubles).isNotEmpty();
    assertThat(troubles.get(troubles.size() - 1))
        .contains("did not get all metrics (status 400: ", "INVALID_PARAMETER_VALUE");
  }

  @Test
  void aSilentServerHoldsNobodyUp() throws IOException {
    MlflowPatience little =
        new MlflowPatience(Duration.ofSeconds(20), Duration.ofMillis(300), Duration.ofMillis(10));
    MlflowObserver observer =
        MlflowObserver.open(target(), identity(), List.of(), 0, troubles::add, little);
    tracking.isSilent(true);
    observer.on(measured(1, 0.1));
    observer.close();
    assertThat(troubles).hasSize(1).first().asString().contains("did not get all metrics");

    MlflowPatience none =
        new MlflowPatience(Duration.ofMillis(300), Duration.ofMillis(300), Duration.ofMillis(10));
    assertThatThrownBy(
            () -> MlflowObserver.open(target(), identity(), List.of(), 0, troubles::add, none))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("does not answer within");
  }

  @Test
  void whatCannotBeUsedIsRefused() throws IOException {
    Files.writeString(identity(), "{\"run_id\":\"../x\"}");
    assertThatThrownBy(() -> open(List.of(), 1))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("mlflow.json: this is not the identifier of an MLflow run");
    Files.writeString(identity(), "{\"run_id\":\"gone\"}");
    assertThatThrownBy(() -> open(List.of(), 1))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining("RESOURCE_DOES_NOT_EXIST");
    tracking.close();
    assertThatThrownBy(() -> open(List.of(), 0))
        .isInstanceOf(InvalidInputException.class)
        .hasMessageContaining(tracking.address().toString())
        .hasMessageContaining("refused");
    for (String wrong : List.of("ftp://a", "mlruns", "file:///tmp/mlruns", "http://a:b@c")) {
      assertThatThrownBy(() -> new MlflowTarget(URI.create(wrong), "a", "b", Map.of()))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("address of an MLflow server");
    }
  }
}
