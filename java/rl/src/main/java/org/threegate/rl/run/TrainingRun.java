package org.threegate.rl.run;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDate;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.threegate.checkpoint.TensorType;
import org.threegate.file.AtomicFiles;
import org.threegate.file.OutputLock;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.rl.adapter.LowRankAdapter;
import org.threegate.rl.event.TrainingCallback;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.observe.GeometryObserver;
import org.threegate.rl.rollout.PassRate;
import org.threegate.rl.rollout.Rollout;
import org.threegate.rl.rollout.Rollouts;
import org.threegate.rl.task.Problem;
import org.threegate.rl.train.Trainer;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;

/**
 * A training run in a directory. The run locks the directory, writes metrics and checkpoints, and
 * ends with a model or an adapter. A run can be interrupted at any moment and resumed. It then ends
 * with the same bytes as an uninterrupted run.
 *
 * <pre>{@code
 * TrainingConfig config = TrainingConfigs.read(Path.of("run.yaml"), Map.of(), "");
 * try (TrainingRun run = TrainingRun.open(context, control, config, false)) {
 *   TrainingRun.Result result = run.run(TrainingRun.Listener.NONE, List.of());
 *   System.out.println(result.path());
 * }
 * }</pre>
 */
public final class TrainingRun implements AutoCloseable {
  private static final long EVALUATION_SEED = -1; // added to the seed of the run

  private final Context context;
  private final Control control;
  private final RunFiles files;
  private final boolean resume;
  private final OutputLock lock;
  private final TrainingSession session;
  private final TrainingConfig config;
  private final List<Problem> evaluation;

  /** Receives notifications that are not training events. */
  public interface Listener {
    /** Ignores everything. */
    Listener NONE = new Listener() {};

    /**
     * Called when the live page is served at an address.
     *
     * @param page the address of the page
     */
    default void serves(URI page) {}

    /**
     * Called before the first step if the checkpoint has tensors that are no part of the decoder.
     *
     * @param reasons the reasons by the names of the tensors. The result does not have these
     *     tensors
     */
    default void leftOut(Map<String, String> reasons) {}

    /**
     * Called before the first step if only some weights have a mask.
     *
     * @param names the weights that have no mask and may move everywhere
     */
    default void unmasked(List<String> names) {}

    /**
     * Called when the model was evaluated after a step.
     *
     * @param step the number of steps before the evaluation
     * @param passRate the share of problems that the model solved
     */
    default void evaluated(long step, PassRate passRate) {}

    /**
     * Called when the run ends early, because evaluations have not become better.
     *
     * @param step the number of steps that were taken
     * @param best the number of steps before the best evaluation
     */
    default void stopped(long step, long best) {}

    /**
     * Called when a service does not take metrics, or when a GPU has too little memory for a
     * measurement. The run goes on. Another thread may call it.
     *
     * @param message what happened, in one line
     */
    default void unreported(String message) {}
  }

  /**
   * The end of a run.
   *
   * @param path the directory of the trained model or adapter
   * @param steps the number of steps that were taken
   * @param stopReason why the run ended before its last step, if it did: what a callback said, or
   *     that evaluations have not become better
   */
  public record Result(Path path, long steps, Optional<String> stopReason) {}

  private TrainingRun(
      Context context, Control control, TrainingConfig config, boolean resume, OutputLock lock) {
    this.context = context;
    this.control = control;
    this.config = config;
    this.files = new RunFiles(config.run().outputDir());
    this.resume = resume;
    this.lock = lock;
    this.session = TrainingSession.builder(context, config).open();
    this.evaluation = config.data().evalDataset().map(session::read).orElse(List.of());
  }

  /**
   * Opens a run. It locks the directory and writes nothing else.
   *
   * @param context the context of the kernels
   * @param control cancels the run, which then saves its state
   * @param config the configuration
   * @param resume whether to resume from the last checkpoint, if there is one
   * @return the run
   * @throws InvalidInputException when a file or value cannot be used, or when the directory
   *     already has a run and {@code resume} is false
   * @throws IOException when the lock cannot be created
   */
  public static TrainingRun open(
      Context context, Control control, TrainingConfig config, boolean resume) throws IOException {
    Path output = config.run().outputDir();
    if (!resume && exists(output)) {
      throw new InvalidInputException(
          output
              + ": the directory already has a run; resume it, or set output_dir to another directory");
    }
    Files.createDirectories(output.toAbsolutePath().normalize().getParent());
    OutputLock lock = OutputLock.ofRun(output);
    try {
      return new TrainingRun(context, control, dated(config, resume), resume, lock);
    } catch (RuntimeException e) {
      lock.close();
      throw e;
    }
  }

  /**
   * {@return whether a directory has a run in it}
   *
   * @param output the directory of a run, which need not exist
   */
  public static boolean exists(Path output) {
    return Files.exists(new RunFiles(output).metrics());
  }

  /**
   * {@return the directories that a run writes within its own}
   *
   * @param config the configuration of the run
   */
  public static List<Path> parts(TrainingConfig config) {
    return new RunFiles(config.run().outputDir()).parts();
  }

  /**
   * Sets the day on which the run began, so that prompts with a date stay the same when resumed.
   */
  private static TrainingConfig dated(TrainingConfig config, boolean resume) {
    if (config.data().chat().chatTemplateDate().isPresent()) {
      return config;
    }
    Path begun = new RunFiles(config.run().outputDir()).config();
    Optional<LocalDate> day =
        resume && Files.exists(begun)
            ? TrainingConfigs.read(begun, Map.of(), "").data().chat().chatTemplateDate()
            : Optional.empty();
    return TrainingConfigs.with(
        config, Map.of("chat_template_date", day.orElseGet(LocalDate::now)));
  }

  /**
   * Trains to the end of the run.
   *
   * @param listener is notified of the page and of evaluations
   * @param sinks additional observers, which receive all events
   * @return the result
   * @throws CancelledException when the run was cancelled. Its state is saved
   * @throws IOException when a file cannot be written
   */
  public Result run(Listener listener, List<TrainingObserver> sinks) throws IOException {
    return run(listener, sinks, List.of());
  }

  /**
   * Trains to the end of the run, or until a callback ends it.
   *
   * @param listener is notified of the page and of evaluations
   * @param sinks additional observers, which receive all events
   * @param callbacks decide after each step and each evaluation. A resumed run needs the same ones
   * @return the result
   * @throws CancelledException when the run was cancelled. Its state is saved
   * @throws IOException when a file cannot be written
   */
  public Result run(
      Listener listener, List<TrainingObserver> sinks, List<TrainingCallback> callbacks)
      throws IOException {
    callbacks.forEach(session.trainer()::add);
    String identity = RunIdentity.of(config);
    files.prepare();
    Optional<Path> last = resume ? files.lastState() : Optional.empty();
    long from = last.isPresent() ? Trainer.savedStep(context, last.get()) : 0;
    if (from > config.run().maxSteps()) {
      throw new InvalidInputException(
          "max_steps is "
              + config.run().maxSteps()
              + "; the run has already taken "
              + from
              + " steps");
    }
    Evaluations evaluations = Evaluations.read(config.run().evaluation(), files.metrics(), from);
    long taken;
    Optional<String> stopReason;
    try (RunObservers observers =
        new RunObservers(
            context, session, files, from, new RunObservers.Outside(sinks, listener::unreported))) {
      observers.page().ifPresent(listener::serves);
      if (!session.policy().leftOut().isEmpty()) {
        listener.leftOut(session.policy().leftOut());
      }
      if (!session.unmasked().isEmpty()) {
        listener.unmasked(session.unmasked());
      }
      List<TrainingObserver> all = new ArrayList<>(List.of(observers.sinks()));
      // These observers measure against the initial model, so they open before the state is
      // restored.
      Optional<GeometryObserver> geometry = observers.geometry();
      geometry.ifPresent(all::add);
      observers.divergence().ifPresent(all::add);
      if (from > 0) {
        session.trainer().resume(context, last.orElseThrow(), identity);
        geometry.ifPresent(observer -> observer.goOnFrom(session.policy()));
      }
      files.writeConfig(config);
      Evaluating evaluating = new Evaluating(evaluations, observers.sinks(), listener, identity);
      if (from == 0) {
        evaluating.evaluate();
      }
      observers.patches().ifPresent(all::add);
      steps(TrainingObserver.all(all), observers.clock(), evaluating);
      if (!evaluations.has(session.trainer().step())) {
        evaluating.evaluate();
      }
      if (evaluations.isStopped()) {
        listener.stopped(session.trainer().step(), evaluations.bestStep());
      }
      // The state of the best evaluation, which may be loaded below, is of an earlier step.
      taken = session.trainer().step();
      stopReason =
          session
              .trainer()
              .stopReason()
              .or(
                  () ->
                      evaluations.isStopped()
                          ? Optional.of(
                              "no evaluation was better than that after step "
                                  + evaluations.bestStep())
                          : Optional.empty());
      observers.finish();
    }
    if (config.run().evaluation().loadBestModelAtEnd()) {
      loadBest(evaluations.bestStep(), identity);
    }
    return new Result(write(), taken, stopReason);
  }

  private void steps(TrainingObserver observers, TrainingObserver clock, Evaluating evaluating)
      throws IOException {
    Trainer trainer = session.trainer();
    Evaluations evaluations = evaluating.evaluations();
    while (!trainer.isDone() && !evaluations.isStopped()) {
      TrainingEvent event = trainer.next();
      long begin = System.nanoTime();
      observers.on(event);
      trainer.decide(event);
      Map<String, Double> timings = new LinkedHashMap<>(event.details().timings());
      timings.put("time/observing", (System.nanoTime() - begin) / 1e9);
      clock.on(new TrainingEvent.Measured(event.step(), "time", timings));
      // The evaluation comes before the state is saved. A run that resumes from the state has it.
      if (evaluations.isDue(trainer.step()) || trainer.isDone()) {
        evaluating.evaluate();
      }
      boolean cancelled = control.isCancelled();
      if (cancelled
          || trainer.step() % config.run().saveSteps() == 0
          || trainer.isDone()
          || evaluations.isStopped()) {
        files.save(trainer, evaluating.identity(), config.run().saveTotalLimit());
      }
      if (cancelled || control.isCancelled()) {
        throw new CancelledException();
      }
    }
  }

  /** Evaluates the model, tells the result, and keeps the state of the best evaluation. */
  private final class Evaluating {
    private final Evaluations evaluations;
    private final TrainingObserver sinks;
    private final Listener listener;
    private final String identity;

    Evaluating(
        Evaluations evaluations, TrainingObserver sinks, Listener listener, String identity) {
      this.evaluations = evaluations;
      this.sinks = sinks;
      this.listener = listener;
      this.identity = identity;
    }

    Evaluations evaluations() {
      return evaluations;
    }

    String identity() {
      return identity;
    }

    void evaluate() throws IOException {
      if (evaluation.isEmpty()) {
        return;
      }
      Trainer trainer = session.trainer();
      int each = config.data().numGenerationsEval();
      Rollouts rollouts = session.rollouts();
      List<Rollout> drawn =
          rollouts.draw(
              session.policy(),
              evaluation.stream().filter(rollouts::fits).toList(),
              each,
              session.sampling(),
              config.run().seed() + EVALUATION_SEED);
      PassRate one = PassRate.of(drawn, each, 1);
      Map<String, Double> metrics = new LinkedHashMap<>();
      put("pass@1", one, metrics);
      put("pass@" + each, PassRate.of(drawn, each, each), metrics);
      TrainingEvent event = new TrainingEvent.Measured(trainer.step(), Evaluations.EVENT, metrics);
      sinks.on(event);
      boolean isBest = evaluations.add(trainer.step(), metrics);
      if (isBest && config.run().evaluation().loadBestModelAtEnd()) {
        files.saveBest(trainer, identity);
      }
      trainer.decide(event);
      listener.evaluated(trainer.step(), one);
    }

    private static void put(String name, PassRate rate, Map<String, Double> metrics) {
      metrics.put(name, rate.value());
      metrics.put(name + "/se", rate.se());
      metrics.put(name + "/low", rate.low());
      metrics.put(name + "/high", rate.high());
    }
  }

  /** Restores the state of the best evaluation. */
  private void loadBest(long step, String identity) {
    if (step < 0 || step == session.trainer().step()) {
      return;
    }
    Path best = files.best();
    if (!Files.exists(best) || Trainer.savedStep(context, best) != step) {
      throw new InvalidInputException(
          best + ": the state of the best evaluation, after step " + step + ", is missing");
    }
    session.trainer().resume(context, best, identity);
  }

  private Path write() throws IOException {
    Optional<LowRankAdapter> adapter = session.adapter();
    if (adapter.isPresent()) {
      adapter.get().write(files.adapter(), config.modelDirectory().toString());
      return files.adapter();
    }
    AtomicFiles.updateDirectory(
        files.model(),
        "model.safetensors",
        to -> {
          session.policy().write(to, TensorType.BF16);
          for (Path file : RunFiles.description(config.modelDirectory())) {
            Files.copy(file, to.resolve(file.getFileName()));
          }
        });
    return files.model();
  }

  @Override
  public void close() throws IOException {
    try {
      session.close();
    } finally {
      lock.close();
    }
  }
}
