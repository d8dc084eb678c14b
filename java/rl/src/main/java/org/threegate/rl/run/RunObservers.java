package org.threegate.rl.run;

import java.io.IOException;
import java.net.SocketException;
import java.net.URI;
import java.net.URISyntaxException;
import java.time.Clock;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.function.Predicate;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.checkpoint.NamePattern;
import org.threegate.kernel.Context;
import org.threegate.patch.PatchPublisher;
import org.threegate.rl.curvature.CapturedLayers;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.observe.CompletionLines;
import org.threegate.rl.observe.DivergenceObserver;
import org.threegate.rl.observe.GeometryObserver;
import org.threegate.rl.observe.JsonLines;
import org.threegate.rl.observe.LivePage;
import org.threegate.rl.observe.MlflowObserver;
import org.threegate.rl.observe.MlflowTarget;
import org.threegate.rl.observe.PatchObserver;
import org.threegate.rl.observe.TensorBoard;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.task.Problem;
import org.threegate.run.InvalidInputException;

/**
 * The observers of a run in a directory. Sinks write events. Other observers measure the model
 * after each step and send the results to the sinks.
 */
final class RunObservers implements AutoCloseable {
  private static final String MLFLOW_VARIABLE = "MLFLOW_TRACKING_URI";
  private static final long DIVERGENCE_SEED = -2; // added to the seed of the run

  private final Context context;
  private final TrainingSession session;
  private final TrainingConfig.Observation options;
  private final RunFiles files;
  private final long from;
  private final Consumer<String> trouble;
  private final Opened opened = new Opened();
  private final JsonLines lines;
  private final JsonLines timings;
  private final List<TrainingObserver> written = new ArrayList<>();
  private final List<TrainingObserver> others = new ArrayList<>();
  private Optional<URI> page = Optional.empty();
  private Optional<MlflowObserver> mlflow = Optional.empty();

  /**
   * What the caller of a run gives.
   *
   * @param sinks additional sinks
   * @param trouble receives a sentence when a service does not take metrics, or when a GPU has too
   *     little memory for a measurement
   */
  record Outside(List<TrainingObserver> sinks, Consumer<String> trouble) {}

  /**
   * Opens the sinks.
   *
   * @param from the step that the run resumes from. Later lines of an interrupted run are dropped
   * @param outside what the caller gives
   */
  RunObservers(Context context, TrainingSession session, RunFiles files, long from, Outside outside)
      throws IOException {
    this.context = context;
    this.session = session;
    this.options = session.config().observation();
    this.files = files;
    this.from = from;
    this.trouble = outside.trouble();
    TrainingConfig.Logging logging = options.logging();
    try {
      // What can be refused opens before the first file, whose presence marks a run.
      if (logging.pagePort() >= 0) {
        LivePage live = opened.add(page(logging.pagePort()));
        others.add(live);
        page = Optional.of(live.address());
      }
      if (logging.reportTo().contains(TrainingConfig.Report.MLFLOW)) {
        MlflowObserver observer = opened.add(mlflow(logging, outside.trouble()));
        mlflow = Optional.of(observer);
        others.add(observer);
      }
      this.lines = opened.add(JsonLines.open(files.metrics(), from));
      this.timings = opened.add(JsonLines.open(files.timings(), from));
      written.add(lines);
      if (logging.logCompletions()) {
        written.add(
            opened.add(CompletionLines.open(files.completions(), from, logging.completionSteps())));
      }
      if (logging.reportTo().contains(TrainingConfig.Report.TENSORBOARD)) {
        others.add(opened.add(TensorBoard.open(files.tensorBoard(), from, Clock.systemUTC())));
      }
      others.addAll(outside.sinks());
    } catch (IOException | RuntimeException e) {
      opened.close();
      throw e;
    }
  }

  private LivePage page(int port) throws IOException {
    try {
      return LivePage.open(port, session.trainer().steps());
    } catch (SocketException e) {
      throw new InvalidInputException(
          "page_port "
              + port
              + " cannot be opened: "
              + e.getMessage()
              + "; choose another one, or 0 for a free one",
          e);
    }
  }

  private MlflowObserver mlflow(TrainingConfig.Logging logging, Consumer<String> trouble)
      throws IOException {
    MlflowTarget target =
        new MlflowTarget(
            logging.mlflowTrackingUri().orElseGet(RunObservers::server),
            logging.mlflowExperimentName(),
            files.name(),
            TrainingConfigs.values(session.config()));
    try {
      return MlflowObserver.open(
          target,
          files.mlflow(),
          List.of(files.metrics(), files.timings(), files.patchMetrics()),
          from,
          trouble);
    } catch (NoClassDefFoundError e) {
      throw new InvalidInputException(
          "report_to: mlflow needs org.mlflow:mlflow-client on the class path", e);
    }
  }

  private static URI server() {
    String variable = System.getenv().getOrDefault(MLFLOW_VARIABLE, "");
    if (variable.isBlank()) {
      throw new InvalidInputException(
          "report_to: mlflow needs mlflow_tracking_uri, or the variable " + MLFLOW_VARIABLE);
    }
    try {
      URI server = new URI(variable);
      Limits.server(MLFLOW_VARIABLE, server);
      return server;
    } catch (URISyntaxException e) {
      throw new InvalidInputException(MLFLOW_VARIABLE + ": " + e.getMessage(), e);
    } catch (Limits.Exceeded e) {
      throw new InvalidInputException(e.getMessage(), e); // it names the variable
    }
  }

  /** Marks the run as finished where it is reported. */
  void finish() {
    mlflow.ifPresent(MlflowObserver::finish);
  }

  /** Returns the address of the page, if there is one. */
  Optional<URI> page() {
    return page;
  }

  /** Returns an observer that writes events to all sinks. */
  TrainingObserver sinks() {
    List<TrainingObserver> all = new ArrayList<>(written);
    all.addAll(others);
    return TrainingObserver.all(all);
  }

  /**
   * Returns an observer of what depends on the clock. It has a file of its own, so that all other
   * lines of a resumed run are those of an uninterrupted one.
   */
  TrainingObserver clock() {
    List<TrainingObserver> all = new ArrayList<>(List.of(timings));
    all.addAll(others);
    return TrainingObserver.all(all);
  }

  private Predicate<String> selected() {
    return NamePattern.of(options.observedMatrices(), "observed_matrices")::isIn;
  }

  /** Opens the observer of geometry. The model has to be the initial one. */
  Optional<GeometryObserver> geometry() {
    if (options.geometrySteps() == 0) {
      return Optional.empty();
    }
    try {
      GeometryObserver observer =
          opened.add(
              GeometryObserver.of(
                  context,
                  session.policy(),
                  selected(),
                  options.geometrySteps(),
                  options.spectrumSteps(),
                  GeometryOptions.DEFAULT,
                  sinks()));
      observer.onShortage(trouble);
      return Optional.of(observer);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("observed_matrices: " + e.getMessage(), e);
    }
  }

  /** Opens the observer of divergence, on texts that the initial model writes. */
  Optional<TrainingObserver> divergence() {
    if (options.divergenceSteps() == 0) {
      return Optional.empty();
    }
    List<Problem> probes =
        session.problems().stream()
            .filter(session.rollouts()::fits)
            .limit(options.divergenceTexts())
            .toList();
    if (probes.isEmpty()) {
      throw new InvalidInputException(
          session.config().trainingFile()
              + ": no problem has a prompt of 1 to "
              + session.rollouts().longestPrompt()
              + " tokens");
    }
    long seed = session.config().run().seed();
    List<CapturedLayers.Text> texts =
        session
            .rollouts()
            .draw(session.policy(), probes, 1, session.sampling(), seed + DIVERGENCE_SEED)
            .stream()
            .map(RunObservers::text)
            .toList();
    try {
      DivergenceObserver observer =
          opened.add(
              DivergenceObserver.of(
                  context,
                  session.policy(),
                  texts,
                  selected(),
                  options.divergenceSteps(),
                  seed,
                  sinks()));
      observer.onShortage(trouble);
      return Optional.of(observer);
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("observed_matrices: " + e.getMessage(), e);
    }
  }

  /** Returns prompt and first turn. The texts of an environment are not the model's. */
  private static CapturedLayers.Text text(Rollout rollout) {
    int[] prompt = rollout.prompt();
    int length = rollout.transcript().turns().get(0).tokens();
    int[] all = Arrays.copyOf(prompt, prompt.length + length);
    System.arraycopy(rollout.completion().tokens(), 0, all, prompt.length, length);
    return new CapturedLayers.Text(all, prompt.length);
  }

  /**
   * Opens the publisher of patches. Its events go to a file of their own: a resumed run goes on
   * with the versions that there are, also where it repeats steps.
   */
  Optional<TrainingObserver> patches() throws IOException {
    TrainingConfig.Patches patches = options.patches();
    if (patches.patchSteps() == 0) {
      return Optional.empty();
    }
    List<TrainingObserver> told = new ArrayList<>(others);
    told.add(opened.add(JsonLines.open(files.patchMetrics(), from)));
    PatchPublisher.Options published =
        new PatchPublisher.Options(
            patches.patchFormat(),
            PatchPublisher.Options.DEFAULT.checksum(),
            patches.patchAnchorInterval(),
            PatchPublisher.Options.DEFAULT.kept());
    try {
      return Optional.of(
          opened.add(
              PatchObserver.of(
                  context,
                  session.policy(),
                  files.versions(),
                  RunFiles.description(session.config().modelDirectory()),
                  published,
                  patches.patchSteps(),
                  TrainingObserver.all(told))));
    } catch (IllegalArgumentException e) {
      throw new InvalidInputException("patch_steps: " + e.getMessage(), e);
    }
  }

  @Override
  public void close() throws IOException {
    opened.close();
  }
}
