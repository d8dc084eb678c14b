package org.threegate.rl.observe;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Clock;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.mlflow.api.proto.Service.Metric;
import org.threegate.file.AtomicFiles;
import org.threegate.file.InputFiles;
import org.threegate.file.InputLines;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.run.InvalidInputException;

/**
 * Reports metrics to an MLflow tracking server through its REST interface. Training does not wait
 * for the server: metrics are sent by a thread of their own, and again if the server does not
 * answer. A resumed run continues its MLflow run. It sends what the server does not have from the
 * lines of the run, and no step twice.
 *
 * <p>Credentials are those of MLflow's client: the variables {@code MLFLOW_TRACKING_USERNAME},
 * {@code MLFLOW_TRACKING_PASSWORD} and {@code MLFLOW_TRACKING_TOKEN}.
 *
 * <pre>{@code
 * MlflowTarget target =
 *     new MlflowTarget(
 *         java.net.URI.create("http://127.0.0.1:5000"), "arithmetic", "run-1", Map.of());
 * try (MlflowObserver observer =
 *     MlflowObserver.open(target, Path.of("mlflow.json"), List.of(), 0, System.err::println)) {
 *   trainer.run(observer);
 *   observer.finish();
 * }
 * }</pre>
 */
public final class MlflowObserver implements TrainingObserver, AutoCloseable {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final String RUN_ID = "run_id";
  private static final int LARGEST = 1 << 12; // bytes of the file with the identifier
  private static final int LONGEST = 1 << 24; // bytes of a line
  private static final Pattern IDENTIFIER = Pattern.compile("[A-Za-z0-9_-]{1,64}");

  private final MlflowSender sender;
  private final Clock clock;
  private final Map<String, Long> last;

  private MlflowObserver(MlflowSender sender, Clock clock, Map<String, Long> last) {
    this.sender = sender;
    this.clock = clock;
    this.last = last;
  }

  /**
   * Begins a run on the server, or continues one.
   *
   * @param target where the run is reported
   * @param identity the file that keeps the identifier of the MLflow run
   * @param lines files of {@link JsonLines} with earlier steps, which are sent if the server does
   *     not have them. A file may be missing
   * @param step the step that the run resumes from; 0 begins a new MLflow run
   * @param trouble receives a sentence when the server stops answering, and when metrics were not
   *     sent in the end
   * @return the observer
   * @throws InvalidInputException when the server does not answer, refuses the run, or does not
   *     know it
   * @throws IOException when a file cannot be read or written
   */
  public static MlflowObserver open(
      MlflowTarget target, Path identity, List<Path> lines, long step, Consumer<String> trouble)
      throws IOException {
    return open(target, identity, lines, step, trouble, MlflowPatience.DEFAULT);
  }

  static MlflowObserver open(
      MlflowTarget target,
      Path identity,
      List<Path> lines,
      long step,
      Consumer<String> trouble,
      MlflowPatience patience)
      throws IOException {
    Optional<String> known =
        step > 0 && Files.exists(identity) ? Optional.of(identifier(identity)) : Optional.empty();
    MlflowSender sender = new MlflowSender(target, known, patience, trouble);
    try {
      MlflowSender.Begun begun = sender.begun();
      if (known.isEmpty()) {
        write(identity, begun.run());
      }
      MlflowObserver observer = new MlflowObserver(sender, Clock.systemUTC(), begun.last());
      if (step > 0) {
        for (Path file : lines) {
          observer.send(file, step);
        }
      }
      return observer;
    } catch (IOException | RuntimeException e) {
      sender.abandon();
      throw e;
    }
  }

  private static String identifier(Path file) {
    try {
      JsonNode run = MAPPER.readTree(InputFiles.text(file, LARGEST)).path(RUN_ID);
      if (run.isTextual() && IDENTIFIER.matcher(run.asText()).matches()) {
        return run.asText();
      }
    } catch (JsonProcessingException e) {
      throw unknown(file, e);
    }
    throw unknown(file, null);
  }

  private static InvalidInputException unknown(Path file, Exception cause) {
    return new InvalidInputException(
        file
            + ": this is not the identifier of an MLflow run; delete the file to begin another one",
        cause);
  }

  private static void write(Path file, String run) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.wrap(
            (MAPPER.createObjectNode().put(RUN_ID, run) + "\n").getBytes(StandardCharsets.UTF_8));
    AtomicFiles.write(
        file,
        out -> {
          while (bytes.hasRemaining()) {
            out.write(bytes);
          }
        });
  }

  /** Sends lines of earlier steps that the server does not have. */
  private void send(Path file, long step) throws IOException {
    if (!Files.exists(file)) {
      return;
    }
    try (InputLines lines = InputLines.ofRun(file, LONGEST)) {
      for (Optional<String> line = lines.next(); line.isPresent(); line = lines.next()) {
        JsonNode row = row(line.get());
        // Updates have the step's number several times. The step's own line has their means.
        if (row.path("step").isNumber()
            && row.path("step").asLong() <= step
            && !row.path("event").asText().equals("update")) {
          Map<String, Double> metrics = new HashMap<>();
          row.properties().stream()
              .filter(member -> !member.getKey().equals("step"))
              .filter(member -> member.getValue().isNumber() || member.getValue().isNull())
              .forEach(
                  member -> metrics.put(member.getKey(), member.getValue().asDouble(Double.NaN)));
          send(row.path("step").asLong(), metrics);
        }
      }
    }
  }

  private static JsonNode row(String line) {
    try {
      return MAPPER.readTree(line);
    } catch (JsonProcessingException e) {
      return MAPPER.createObjectNode(); // an incomplete line, left by a killed run
    }
  }

  private void send(long step, Map<String, Double> metrics) {
    List<Metric> values = new ArrayList<>();
    metrics.forEach(
        (name, value) -> {
          String key = MlflowSender.key(name);
          if (last.getOrDefault(key, -1L) < step) {
            values.add(
                Metric.newBuilder()
                    .setKey(key)
                    .setValue(value)
                    .setStep(step)
                    .setTimestamp(clock.millis())
                    .build());
          }
        });
    sender.send(values);
  }

  @Override
  public void on(TrainingEvent event) {
    send(event.step(), event.metrics());
  }

  /** Marks the run as finished. One that is closed before is marked as killed. */
  public void finish() {
    sender.finish();
  }

  /** Sends what is left. It waits at most half a minute for the server. */
  @Override
  public void close() {
    sender.close();
  }
}
