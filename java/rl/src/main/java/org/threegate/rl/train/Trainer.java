package org.threegate.rl.train;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.function.Function;
import org.bytedeco.pytorch.NoGradGuard;
import org.bytedeco.pytorch.Scalar;
import org.bytedeco.pytorch.Tensor;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.rl.event.SampledCompletion;
import org.threegate.rl.event.StepDetails;
import org.threegate.rl.event.TrainingCallback;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.objective.Loss;
import org.threegate.rl.optimizer.Optimizer;
import org.threegate.rl.optimizer.Schedule;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.GradientSink;
import org.threegate.rl.policy.GradientSource;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.TensorFiles;
import org.threegate.rl.policy.Threads;
import org.threegate.rl.policy.TokenMeasures;
import org.threegate.run.InvalidInputException;
import org.threegate.run.PrintableText;

/**
 * The base of all trainers: takes steps, saves its state and resumes from it. A run that is
 * interrupted and resumed ends with the same bytes as an uninterrupted one, because all randomness
 * of a step derives from the seed and the number of the step.
 *
 * <pre>{@code
 * while (!trainer.isDone()) {
 *   TrainingEvent event = trainer.next();
 *   if (event.step() % 50 == 0) {
 *     trainer.save(Path.of("state.safetensors"), "run 1");
 *   }
 * }
 * }</pre>
 */
public abstract sealed class Trainer implements AutoCloseable
    permits PolicyTrainer, SupervisedTrainer {
  /** Consecutive steps with a gradient that is not finite, after which the run fails. */
  static final int MOST_FAILURES = 5;

  private static final long MOST = 1L << 40; // steps and examples that a run may have had
  private static final long MOST_TOKENS = 1L << 50;

  /** Metrics of a step with several updates that are those of its last update. */
  private static final Set<String> OF_LAST = Set.of("grad_norm", "learning_rate");

  final Decoder policy;
  final Optimizer optimizer;
  private final long steps;
  private long step;
  private int failures;
  private long tokens;
  private long stepTokens;
  private long begin;
  private final List<Map<String, Double>> updates = new ArrayList<>();
  private final Map<String, Double> seconds = new LinkedHashMap<>();
  private final Callbacks callbacks = new Callbacks();

  /** The number of examples that have been taken from the data. */
  long position;

  Trainer(Decoder policy, Optimizer optimizer, long steps) {
    if (policy.storage() == Decoder.Storage.FLOAT64) {
      optimizer.close();
      throw new IllegalArgumentException(
          "parameters in float64 cannot be trained; use float32 or bfloat16");
    }
    this.policy = policy;
    this.optimizer = optimizer;
    this.steps = steps;
  }

  /** {@return the number of steps so far} */
  public long step() {
    return step;
  }

  /** {@return the number of steps of the whole run} */
  public long steps() {
    return steps;
  }

  /** {@return whether all steps of the run were taken, or a callback has ended it} */
  public boolean isDone() {
    return step >= steps || stopReason().isPresent();
  }

  /** {@return why a callback has ended the run, if one has} */
  public Optional<String> stopReason() {
    return callbacks.stopReason();
  }

  /**
   * Adds a callback, which decides after each step. Callbacks are asked in the order in which they
   * were added. A resumed run needs the same ones, added before {@link #resume}.
   *
   * @param callback decides about the rest of the run
   */
  public void add(TrainingCallback callback) {
    callbacks.add(callback);
  }

  /**
   * Trains to the end of the run.
   *
   * @param observer receives the event of each step
   */
  public void run(TrainingObserver observer) {
    while (!isDone()) {
      TrainingEvent event = next();
      observer.on(event);
      decide(event);
    }
  }

  /**
   * Asks the callbacks what follows from an event. {@link #run} does so after each step.
   *
   * @param event an event of {@link #next}, or of an evaluation
   */
  public void decide(TrainingEvent event) {
    callbacks.after(event);
  }

  /**
   * Takes one step.
   *
   * @return the event of the step
   * @throws TrainingException when the gradient was not finite in several consecutive steps
   */
  public TrainingEvent next() {
    step++;
    updates.clear();
    seconds.clear();
    stepTokens = 0;
    begin = System.nanoTime();
    return attempt();
  }

  /** Takes one step, whose number {@link #step} already counts. */
  abstract TrainingEvent attempt();

  TrainingEvent taken(Map<String, Double> metrics, List<SampledCompletion> completions) {
    failures = 0;
    metrics.putAll(averaged());
    return new TrainingEvent.StepTaken(
        step, metrics, policy, optimizer.masters(), details(completions));
  }

  TrainingEvent skipped(
      String reason, Map<String, Double> metrics, List<SampledCompletion> completions) {
    metrics.putAll(averaged());
    return new TrainingEvent.StepSkipped(step, reason, metrics, details(completions));
  }

  TrainingEvent failed(Map<String, Double> metrics, List<SampledCompletion> completions) {
    if (++failures >= MOST_FAILURES) {
      throw new TrainingException(
          "step "
              + step
              + ": the gradient has not been finite in "
              + failures
              + " steps in a row; a lower learning rate may help");
    }
    return skipped("the gradient is not finite", metrics, completions);
  }

  /** Counts tokens that the model has seen, and adds the count of the whole run to the metrics. */
  void count(long seen, Map<String, Double> metrics) {
    stepTokens += seen;
    tokens += seen;
    metrics.put("num_tokens", (double) tokens);
  }

  /** Adds seconds of a phase of the step. What no phase has is that of the update. */
  void spent(String phase, double own) {
    seconds.merge("time/" + phase, own, Double::sum);
  }

  /** Averages the metrics of the updates as TRL does, without those that are not numbers. */
  private Map<String, Double> averaged() {
    Map<String, List<Double>> values = new LinkedHashMap<>();
    updates.forEach(
        own ->
            own.forEach(
                (name, value) ->
                    values.computeIfAbsent(name, unused -> new ArrayList<>()).add(value)));
    Map<String, Double> averaged = new LinkedHashMap<>();
    values.forEach(
        (name, own) ->
            averaged.put(
                name,
                OF_LAST.contains(name)
                    ? own.get(own.size() - 1)
                    : own.stream()
                        .mapToDouble(value -> value)
                        .filter(value -> !Double.isNaN(value))
                        .average()
                        .orElse(Double.NaN)));
    return averaged;
  }

  private StepDetails details(List<SampledCompletion> completions) {
    double all = (System.nanoTime() - begin) / 1e9;
    Map<String, Double> timings = new LinkedHashMap<>();
    timings.put("step_time", all);
    timings.putAll(seconds);
    timings.put(
        "time/update", Math.max(0, all - seconds.values().stream().mapToDouble(own -> own).sum()));
    timings.put("tokens_per_second", stepTokens / all);
    return new StepDetails(updates, completions, timings);
  }

  /**
   * A part of a batch.
   *
   * @param part the forward and backward pass
   * @param share the weight of this part's loss in the loss of the batch
   * @param entropies whether the loss depends on entropies, or knows them only
   * @param loss computes the loss from log-probabilities and entropies
   */
  record Piece(
      GradientSource part,
      double share,
      TokenMeasures.Entropies entropies,
      Function<TokenMeasures, Loss> loss) {}

  /**
   * Differentiates the parts of a batch and takes an optimizer step along the summed gradient.
   *
   * @param pieces the parts. Each allocates its tensors in the thread that runs it
   * @param peak the peak learning rate, unless a callback has set another one
   * @param schedule the schedule of the learning rate
   * @return the metrics of the update, to which the caller may add others. {@code grad_norm} is the
   *     norm of the gradient before clipping
   */
  Map<String, Double> learn(List<Callable<Piece>> pieces, double peak, Schedule schedule) {
    double rate = callbacks.rate(peak) * schedule.at(optimizer.steps());
    Map<String, Double> sums = new LinkedHashMap<>();
    try (OrderedGradients gradients = new OrderedGradients(optimizer, pieces.size())) {
      List<Callable<Map<String, Double>>> parts = new ArrayList<>();
      for (int i = 0; i < pieces.size(); i++) {
        int number = i;
        parts.add(
            () -> {
              try {
                return differentiate(pieces.get(number), gradients.of(number));
              } finally {
                gradients.end(number);
              }
            });
      }
      Threads.map(
          parts,
          metrics ->
              metrics.forEach(
                  (name, value) ->
                      sums.merge(name, value, (first, next) -> Loss.merged(name, first, next))));
      gradients.finish();
    }
    sums.put("grad_norm", optimizer.step(rate));
    sums.put("learning_rate", rate);
    updates.add(sums);
    return sums;
  }

  /** Passes the gradients of a part on, and returns its contribution to the metrics. */
  private static Map<String, Double> differentiate(Callable<Piece> made, GradientSink sink) {
    Map<String, Double> metrics = new LinkedHashMap<>();
    Scopes.run(
        () -> {
          Piece piece = piece(made);
          piece
              .part()
              .measured(
                  piece.entropies(),
                  measures -> {
                    Loss loss = piece.loss().apply(measures);
                    metrics.put("loss", piece.share() * loss.value().item_double());
                    loss.metrics()
                        .forEach((name, value) -> metrics.put(name, piece.share() * value));
                    return loss.value().mul(new Scalar(piece.share()));
                  },
                  sink);
        });
    return metrics;
  }

  private static Piece piece(Callable<Piece> made) {
    try {
      return made.call();
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  /**
   * Saves the state of the run: parameters, optimizer and counters. The file is replaced atomically
   * and synced to disk.
   *
   * @param file the safetensors file to write
   * @param run an identifier of the run, which {@link #resume} must repeat. Where its lines are
   *     {@code name: value}, errors name what differs
   * @throws IOException when the file cannot be written
   */
  public void save(Path file, String run) throws IOException {
    SafetensorsWriter writer =
        new SafetensorsWriter()
            .metadata("format", "threegate-training")
            .metadata("run", run)
            .metadata("step", Long.toString(step))
            .metadata("position", Long.toString(position))
            .metadata("failures", Integer.toString(failures))
            .metadata("num_tokens", Long.toString(tokens))
            .metadata("optimizer_steps", Long.toString(optimizer.steps()));
    numbers().forEach(writer::metadata);
    callbacks.numbers().forEach(writer::metadata);
    tensors().forEach((name, own) -> TensorFiles.put(writer, name, TensorType.F32, own));
    optimizer
        .state()
        .forEach((name, tensor) -> TensorFiles.put(writer, name, TensorType.F32, tensor));
    writer.write(file);
  }

  /**
   * Restores the state that {@link #save} wrote.
   *
   * @param context the context of the kernels
   * @param file the file to read
   * @param run the identifier that was given to {@link #save}
   * @throws InvalidInputException when the file is damaged, or belongs to another run or model
   */
  public void resume(Context context, Path file, String run) {
    try (Checkpoint saved = Checkpoint.open(context, file)) {
      Map<String, String> metadata = saved.files().get(0).metadata();
      if (!run.equals(metadata.get("run"))) {
        throw new InvalidInputException(
            file
                + ": the state belongs to another run"
                + RunDifference.of(metadata.getOrDefault("run", ""), run));
      }
      Map<String, Tensor> states = optimizer.state();
      if (saved.tensors().size() != states.size() + tensors().size()) {
        throw new InvalidInputException(file + ": the state belongs to another model");
      }
      // Check everything before anything changes, so that a failure leaves the trainer as it was.
      states.forEach((name, tensor) -> require(saved, name, tensor));
      tensors().forEach((name, own) -> require(saved, name, own));
      final Runnable restored = restored(file, metadata);
      final Runnable decisions = callbacks.restored(file, metadata);
      final long savedStep = number(file, metadata, "step", MOST);
      final long savedPosition = number(file, metadata, "position", MOST);
      final long savedFailures = number(file, metadata, "failures", MOST_FAILURES);
      final long savedTokens = number(file, metadata, "num_tokens", MOST_TOKENS);
      final long optimizerSteps = number(file, metadata, "optimizer_steps", MOST);
      decisions.run();
      states.forEach((name, tensor) -> copy(saved.tensors().get(name), tensor));
      tensors().forEach((name, own) -> copy(saved.tensors().get(name), own));
      restored.run();
      saved.check();
      step = savedStep;
      position = savedPosition;
      failures = Math.toIntExact(savedFailures);
      tokens = savedTokens;
      optimizer.resume(optimizerSteps);
    }
  }

  /** Returns tensors that a resumed run needs besides those of the optimizer, by their names. */
  Map<String, Tensor> tensors() {
    return Map.of();
  }

  /** Returns numbers that a resumed run needs besides its counters, by their names. */
  Map<String, String> numbers() {
    return Map.of();
  }

  /** Returns the step that restores {@link #numbers}, which it checks before. */
  Runnable restored(Path file, Map<String, String> metadata) {
    return () -> {};
  }

  private static long number(Path file, Map<String, String> metadata, String name, long most) {
    String text = metadata.getOrDefault(name, "");
    try {
      long number = Long.parseLong(text);
      if (number >= 0 && number <= most) {
        return number;
      }
    } catch (NumberFormatException e) {
      // The error below covers this case, too.
    }
    throw new InvalidInputException(
        file
            + ": no number \""
            + name
            + "\" in its metadata but \""
            + PrintableText.name(text)
            + "\"; 0 to "
            + most
            + " is possible");
  }

  private static void require(Checkpoint saved, String name, Tensor like) {
    org.threegate.checkpoint.Tensor stored = saved.tensors().get(name);
    if (stored == null
        || stored.type() != TensorType.F32
        || stored.shape().size() != like.dim()
        || stored.elements() != like.numel()) {
      throw new InvalidInputException(
          saved.path() + ": tensor \"" + name + "\" is missing, or is another model's");
    }
  }

  @SuppressWarnings("try")
  private static void copy(org.threegate.checkpoint.Tensor stored, Tensor to) {
    Scopes.run(
        () -> {
          try (NoGradGuard guard = new NoGradGuard()) {
            to.detach().copy_(TensorFiles.read(stored).view_as(to));
          }
        });
  }

  /**
   * {@return the step number that a saved state was written at}
   *
   * @param context the context of the kernels
   * @param file a file that {@link #save} wrote
   */
  public static long savedStep(Context context, Path file) {
    try (Checkpoint saved = Checkpoint.open(context, file)) {
      return number(file, saved.files().get(0).metadata(), "step", MOST);
    }
  }

  @Override
  public void close() {
    optimizer.close();
  }
}
