package org.threegate.rl.observe;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Consumer;
import java.util.regex.Pattern;
import org.mlflow.api.proto.Service.CreateRun;
import org.mlflow.api.proto.Service.Experiment;
import org.mlflow.api.proto.Service.Metric;
import org.mlflow.api.proto.Service.Param;
import org.mlflow.api.proto.Service.RunStatus;
import org.mlflow.api.proto.Service.RunTag;
import org.mlflow.tracking.MlflowClient;
import org.mlflow.tracking.MlflowHttpException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/**
 * Sends metrics to an MLflow server, in the order in which they come. MLflow's client has no time
 * limit. Therefore a thread of this class makes all of its calls, and nothing else waits for it
 * longer than the limits allow.
 */
final class MlflowSender {
  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final Pattern FORBIDDEN = Pattern.compile("[^A-Za-z0-9_\\-. /]");
  private static final int MOST_METRICS = 1000; // of a request, a limit of the server
  private static final int MOST_PARAMETERS = 100; // likewise
  private static final int LONGEST_VALUE = 500; // characters of a parameter
  private static final int LONGEST_REASON = 200; // characters of an error
  private static final int MOST_WAITING = 1 << 20; // metrics that wait for the server
  private static final int MOST_DOUBLINGS = 6; // of the time between two attempts
  private static final int REFUSED = 400;
  private static final int FAILED = 500;
  private static final List<Integer> LATER = List.of(408, 429); // of these, try again

  private final MlflowTarget target;
  private final MlflowPatience patience;
  private final Consumer<String> trouble;
  private final MlflowClient client;
  private final CompletableFuture<Begun> begun = new CompletableFuture<>();
  private final Thread thread;

  private final Deque<Metric> waiting = new ArrayDeque<>();
  private RunStatus status = RunStatus.KILLED;
  private String reason = "";
  private boolean isClosing;
  private boolean isCut; // later metrics are not sent, so that what the server has has no gap

  /**
   * A run on the server.
   *
   * @param run its identifier
   * @param last the last step of each metric that the server has
   */
  record Begun(String run, Map<String, Long> last) {
    Begun {
      last = Map.copyOf(last);
    }
  }

  /**
   * Starts to begin or to continue a run.
   *
   * @param known the identifier of the run to continue; empty to begin a new one
   */
  MlflowSender(
      MlflowTarget target,
      Optional<String> known,
      MlflowPatience patience,
      Consumer<String> trouble) {
    this.target = target;
    this.patience = patience;
    this.trouble = trouble;
    this.client = new MlflowClient(target.server().toString().replaceAll("/+$", ""));
    this.thread = new Thread(() -> run(known), "threegate-mlflow");
    thread.setDaemon(true);
    thread.start();
  }

  /**
   * Waits for the beginning of the run.
   *
   * @throws InvalidInputException when the server does not answer in time, or refuses
   */
  Begun begun() {
    try {
      return begun.get(patience.first().toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      throw new InvalidInputException(
          "MLflow: "
              + target.server()
              + " does not answer within "
              + patience.first().toSeconds()
              + " seconds",
          e);
    } catch (ExecutionException e) {
      throw new InvalidInputException(
          "MLflow: " + target.server() + ": " + reason(e.getCause()), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InvalidInputException("MLflow: interrupted", e);
    }
  }

  /** Sends metrics soon. */
  synchronized void send(List<Metric> metrics) {
    isCut |= waiting.size() + metrics.size() > MOST_WAITING;
    if (!isCut) {
      waiting.addAll(metrics);
      notifyAll();
    }
  }

  /** Ends the run as finished, not as killed. */
  synchronized void finish() {
    status = RunStatus.FINISHED;
  }

  /** Waits until everything is sent, or the time is over. */
  void close() {
    synchronized (this) {
      isClosing = true;
      notifyAll();
    }
    try {
      thread.join(patience.last().toMillis());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
    abandon();
    synchronized (this) {
      if (isCut || !waiting.isEmpty() || thread.isAlive()) {
        trouble.accept(
            "MLflow: "
                + target.server()
                + " did not get all metrics"
                + (reason.isEmpty() ? "" : " (" + reason + ")")
                + "; they are sent when the run is resumed");
      }
    }
  }

  /** Stops at once. */
  void abandon() {
    thread.interrupt();
    client.close();
  }

  private void run(Optional<String> known) {
    try {
      begun.complete(known.isPresent() ? goOn(known.get()) : begin());
    } catch (RuntimeException e) {
      begun.completeExceptionally(e);
      return;
    }
    try {
      deliver(begun.join().run());
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt(); // the thread ends
    }
  }

  private Begun begin() {
    String experiment =
        client
            .getExperimentByName(target.experiment())
            .map(Experiment::getExperimentId)
            .orElseGet(() -> client.createExperiment(target.experiment()));
    String run =
        client
            .createRun(
                CreateRun.newBuilder()
                    .setExperimentId(experiment)
                    .setRunName(target.run())
                    .setStartTime(System.currentTimeMillis())
                    .addTags(tag("mlflow.runName", target.run()))
                    .addTags(tag("mlflow.source.name", "threegate"))
                    .build())
            .getRunId();
    List<Param> parameters = new ArrayList<>();
    target
        .parameters()
        .forEach(
            (name, value) ->
                parameters.add(
                    Param.newBuilder()
                        .setKey(key(name))
                        .setValue(value.substring(0, Math.min(value.length(), LONGEST_VALUE)))
                        .build()));
    for (int i = 0; i < parameters.size(); i += MOST_PARAMETERS) {
      client.logBatch(
          run,
          List.of(),
          parameters.subList(i, Math.min(parameters.size(), i + MOST_PARAMETERS)),
          List.of());
    }
    return new Begun(run, Map.of());
  }

  /** Returns a name with the characters that MLflow allows. */
  static String key(String name) {
    return FORBIDDEN.matcher(name.replace("@", "_at_")).replaceAll("_");
  }

  private static RunTag tag(String key, String value) {
    return RunTag.newBuilder().setKey(key).setValue(value).build();
  }

  private Begun goOn(String run) {
    Map<String, Long> last = new HashMap<>();
    client
        .getRun(run)
        .getData()
        .getMetricsList()
        .forEach(metric -> last.merge(metric.getKey(), metric.getStep(), Math::max));
    client.sendPost(
        "runs/update",
        MAPPER.createObjectNode().put("run_id", run).put("status", "RUNNING").toString());
    return new Begun(run, last);
  }

  private void deliver(String run) throws InterruptedException {
    List<Metric> next = next();
    int failures = 0;
    while (!next.isEmpty()) {
      try {
        client.logBatch(run, next, List.of(), List.of());
        sent(next.size());
        failures = 0;
      } catch (RuntimeException e) {
        failed(e, failures);
        if (isRefused(e)) {
          return;
        }
        Thread.sleep(patience.retry().toMillis() << Math.min(failures, MOST_DOUBLINGS));
        failures++;
      }
      next = next();
    }
    try {
      client.setTerminated(run, ended());
    } catch (RuntimeException e) {
      failed(e, 0);
    }
  }

  /** Waits for metrics. The list is empty when there are none and the sender closes. */
  private synchronized List<Metric> next() throws InterruptedException {
    while (waiting.isEmpty() && !isClosing) {
      wait();
    }
    return waiting.stream().limit(MOST_METRICS).toList();
  }

  private synchronized void sent(int metrics) {
    for (int i = 0; i < metrics; i++) {
      waiting.remove();
    }
  }

  private synchronized RunStatus ended() {
    return status;
  }

  /** Tells of the first of several failures. */
  private synchronized void failed(RuntimeException e, int failures) {
    reason = reason(e);
    isCut |= isRefused(e);
    if (failures == 0 && !isClosing) {
      trouble.accept("MLflow: " + target.server() + ": " + reason);
    }
  }

  /** Returns whether another attempt would fail as well. */
  private static boolean isRefused(RuntimeException e) {
    return e instanceof MlflowHttpException http
        && http.getStatusCode() >= REFUSED
        && http.getStatusCode() < FAILED
        && !LATER.contains(http.getStatusCode());
  }

  private static String reason(Throwable e) {
    Throwable cause = e;
    while (cause.getCause() != null) {
      cause = cause.getCause();
    }
    String text =
        cause instanceof MlflowHttpException http
            ? "status " + http.getStatusCode() + ": " + http.getBodyMessage()
            : String.valueOf(cause.getMessage());
    return PrintableText.of(text.substring(0, Math.min(text.length(), LONGEST_REASON)));
  }
}
