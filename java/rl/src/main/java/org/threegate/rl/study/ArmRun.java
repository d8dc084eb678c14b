package org.threegate.rl.study;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.LongConsumer;
import org.bytedeco.pytorch.Tensor;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.study.Accuracy;
import org.threegate.analysis.study.StudyRun;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Mask;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.observe.GeometryObserver;
import org.threegate.rl.observe.PatchSizeObserver;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.run.TrainingSession;
import org.threegate.rl.train.SupervisedTrainer;
import org.threegate.rl.train.Trainer;
import org.threegate.run.CancelledException;

/**
 * Trains one run. It also takes the measurements that need float32 masters, which no file keeps.
 */
final class ArmRun {
  private static final long PATCHED = 10; // steps between two measurements of the patch size

  /** Results that are known once the model has been trained and written. */
  record Trained(
      long steps,
      StudyRun.Behaviour behaviour,
      Moved moved,
      List<StudyRun.Step> series,
      List<StudyRun.PatchSize> patches) {}

  /** The update of the float32 weights, with the components of {@link StudyRun.Update}. */
  record Moved(
      double trainable,
      long hidden,
      double relativeFrobenius,
      NullEstimate sparsityPermuted,
      double principalOfLargest,
      double lowOfLargest) {}

  private final Context context;
  private final Control control;
  private final Arm arm;
  private final Behaviour behaviour;
  private final LongConsumer progress;
  private final Movement movement;
  private final List<StudyRun.Step> series = new ArrayList<>();
  private final List<StudyRun.PatchSize> patches = new ArrayList<>();
  private double score;
  private double hidden;

  /**
   * Prepares a run.
   *
   * @param progress receives the number of each step
   */
  ArmRun(Context context, Control control, Arm arm, Behaviour behaviour, LongConsumer progress) {
    this.context = context;
    this.control = control;
    this.arm = arm;
    this.behaviour = behaviour;
    this.progress = progress;
    this.movement = new Movement(context, control);
  }

  /** Returns the directory of the adapter of a run. */
  static Path adapter(Path run) {
    return run.resolve("adapter");
  }

  /**
   * Trains from a base model and writes the result.
   *
   * @param longestNorm the norm ‖ΔW‖ / ‖W0‖ at which the run ends
   */
  Trained run(Path base, Path directory, Optional<Double> longestNorm) throws IOException {
    Files.createDirectories(directory);
    try (Decoder before = Decoder.load(context, base)) {
      Map<String, Mask> masks = movement.masks(arm, before);
      try (TrainingSession session = session(base, masks)) {
        long steps = train(before, session, longestNorm, directory.resolve(".patches"));
        if (session.adapter().isPresent()) {
          session.adapter().get().write(adapter(directory), base.toString());
        }
        arm.variation().base().describe(directory);
        session.policy().write(directory, TensorType.BF16);
        return measure(before, session.policy(), masks, directory, steps);
      }
    }
  }

  private TrainingSession session(Path base, Map<String, Mask> masks) {
    TrainingSession.Builder session =
        TrainingSession.builder(context, arm.config(base)).masks(masks);
    if (arm.way().isSupervised()) {
      session.demonstrations(
          SupervisedTrainer.Source.of(
              arm.variation().task().demonstrations(Corpus.TUNING), arm.seed()),
          behaviour.rollouts().tokenizer());
    } else {
      session
          .problems(arm.variation().task().problems(Corpus.TUNING))
          .rollouts(behaviour.rollouts());
    }
    return session.open();
  }

  private long train(
      Decoder before, TrainingSession session, Optional<Double> longestNorm, Path scratch)
      throws IOException {
    long elements = before.parameters().values().stream().mapToLong(Tensor::numel).sum();
    Trainer trainer = session.trainer();
    try (GeometryObserver geometry =
            GeometryObserver.of(
                context, before, name -> true, 1, 0, GeometryOptions.DEFAULT, this::measured);
        PatchSizeObserver sizes =
            PatchSizeObserver.of(context, scratch, PATCHED, event -> patched(event, elements))) {
      TrainingObserver scored = this::scored;
      TrainingObserver observers = TrainingObserver.all(List.of(scored, geometry, sizes));
      while (!trainer.isDone() && !isLongEnough(longestNorm)) {
        if (control.isCancelled()) {
          throw new CancelledException();
        }
        progress.accept(trainer.step());
        observers.on(trainer.next());
      }
      return trainer.step();
    }
  }

  private boolean isLongEnough(Optional<Double> longestNorm) {
    return longestNorm.isPresent() && relativeFrobenius() >= longestNorm.get();
  }

  private double relativeFrobenius() {
    return series.isEmpty() ? 0 : series.get(series.size() - 1).relativeFrobenius();
  }

  private void scored(TrainingEvent event) {
    String name = arm.way().isSupervised() ? "loss" : "reward";
    score = event.metrics().getOrDefault(name, Double.NaN);
  }

  private void measured(TrainingEvent event) {
    hidden = event.metrics().get("geometry/hidden");
    series.add(
        new StudyRun.Step(
            event.step(),
            score,
            event.metrics().get("geometry/changed"),
            hidden,
            event.metrics().get("geometry/relative_frobenius")));
  }

  private void patched(TrainingEvent event, long elements) {
    patches.add(
        new StudyRun.PatchSize(
            event.step(),
            event.metrics().get("patch/changed").longValue(),
            elements,
            event.metrics().get("patch/bytes").longValue(),
            event.metrics().get("patch/model_bytes").longValue()));
  }

  private Trained measure(
      Decoder before, Decoder policy, Map<String, Mask> masks, Path directory, long steps) {
    Behaviour.Divergence divergence = behaviour.divergence(steps, policy);
    Accuracy exact = behaviour.accuracy(policy);
    Accuracy stored;
    try (Decoder rounded = Decoder.load(context, directory)) {
      stored = behaviour.accuracy(rounded);
    }
    Movement.Shares shares = movement.of(before, policy, masks);
    return new Trained(
        steps,
        new StudyRun.Behaviour(
            stored,
            exact,
            divergence.measured(),
            // The Fisher information belongs to the axes of the base, which a rotated base does not
            // share.
            arm.setting().rotated() ? Optional.empty() : Optional.of(divergence.predicted())),
        new Moved(
            shares.allowed() / shares.entries(),
            Math.round(hidden * shares.entries()),
            relativeFrobenius(),
            NullEstimate.of("permuted-update", shares.permutedSparsities()),
            shares.principalOfLargest(),
            shares.lowOfLargest()),
        List.copyOf(series),
        List.copyOf(patches));
  }
}
