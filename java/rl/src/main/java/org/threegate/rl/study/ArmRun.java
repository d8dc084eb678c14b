package org.threegate.rl.study;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.LongConsumer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.mask.MaskKind;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.study.StudyRun;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.MaskSets;
import org.threegate.rl.adapter.AdapterOptions;
import org.threegate.rl.adapter.LowRankAdapter;
import org.threegate.rl.event.TrainingEvent;
import org.threegate.rl.event.TrainingObserver;
import org.threegate.rl.objective.PolicyObjective;
import org.threegate.rl.observe.GeometryObserver;
import org.threegate.rl.observe.PatchSizeObserver;
import org.threegate.rl.policy.Decoder;
import org.threegate.rl.policy.Scopes;
import org.threegate.rl.policy.TensorMemory;
import org.threegate.rl.policy.Tensors;
import org.threegate.rl.train.AdvantageRule;
import org.threegate.rl.train.PolicyTrainer;
import org.threegate.rl.train.SupervisedOptions;
import org.threegate.rl.train.SupervisedTrainer;
import org.threegate.rl.train.Trainer;
import org.threegate.rl.train.TrainingOptions;
import org.threegate.run.CancelledException;

/** Trains one arm and measures what takes the float32 masters, which no file keeps. */
final class ArmRun {
  private static final int PROMPTS = 16;
  private static final int COMPLETIONS = 16; // of each
  private static final int BATCH = 128; // demonstrations
  private static final int ROWS = 32; // of a part
  private static final int LONGEST = 24; // tokens of a demonstration
  private static final int RANK = 8; // of adapters
  private static final int SHUFFLES = 5;
  private static final double TOLERANCE = 1e-6;
  private static final double ALPHA = 0.5; // share of entries in masks
  private static final double RANK_SHARE = 0.1;
  private static final long PATCHED = 10; // steps from one whose patch is measured to the next

  /** What is known once it has been trained and written. */
  record Trained(
      long steps,
      double trainable,
      StudyRun.Accuracy stored,
      StudyRun.Accuracy exact,
      StudyRun.Mean divergence,
      StudyRun.Mean predicted,
      long hidden,
      double relativeFrobenius,
      NullEstimate sparsityPermuted,
      double principalOfLargest,
      double lowOfLargest,
      List<StudyRun.Step> series,
      List<StudyRun.PatchSize> patches) {}

  private final Context context;
  private final Control control;
  private final Arm arm;
  private final Behaviour behaviour;
  private final LongConsumer progress;
  private final List<StudyRun.Step> series = new ArrayList<>();
  private final List<StudyRun.PatchSize> patches = new ArrayList<>();
  private double score;
  private double hidden;

  /**
   * @param progress is told each step's number
   */
  ArmRun(Context context, Control control, Arm arm, Behaviour behaviour, LongConsumer progress) {
    this.context = context;
    this.control = control;
    this.arm = arm;
    this.behaviour = behaviour;
    this.progress = progress;
  }

  /**
   * Trains from a base and writes the outcome.
   *
   * @param longestNorm ‖ΔW‖ / ‖W0‖ at which it ends
   */
  Trained run(Path base, Path directory, Optional<Double> longestNorm) throws IOException {
    Files.createDirectories(directory);
    List<Trained> trained = new ArrayList<>();
    try (Decoder before = Decoder.load(context, base);
        Decoder policy = Decoder.load(context, base)) {
      Optional<LowRankAdapter> adapter =
          arm.setting()
              .adapter()
              .map(
                  kind ->
                      LowRankAdapter.attach(
                          context,
                          policy,
                          new AdapterOptions(RANK, RANK, false, AdapterOptions.ALL, kind),
                          arm.seed()));
      try {
        Map<String, Mask> masks = masks(before);
        long steps = train(before, policy, masks, longestNorm, directory.resolve(".patches"));
        if (adapter.isPresent()) {
          adapter.get().write(Study.adapter(directory));
        }
        BaseModel.describe(directory);
        policy.write(directory, TensorType.BF16);
        trained.add(measure(before, policy, masks, directory, steps));
      } finally {
        adapter.ifPresent(LowRankAdapter::close);
      }
    }
    return trained.get(0);
  }

  private Map<String, Mask> masks(Decoder before) {
    Map<String, Mask> masks = new LinkedHashMap<>();
    arm.setting()
        .mask()
        .ifPresent(
            kind -> {
              SplittableRandom random = new SplittableRandom(arm.seed());
              matrices(before)
                  .forEach(
                      (name, weight) -> {
                        long seed = random.nextLong();
                        Mask mask = mask(weight, kind, ALPHA, seed);
                        double entries = (double) mask.rows() * mask.columns();
                        masks.put(
                            name,
                            arm.setting().likeMask()
                                ? mask(weight, MaskKind.RANDOM, mask.count() / entries, seed)
                                : mask);
                      });
            });
    return masks;
  }

  private static Map<String, Tensor> matrices(Decoder model) {
    Map<String, Tensor> matrices = new LinkedHashMap<>(model.parameters());
    matrices.values().removeIf(parameter -> parameter.dim() != 2);
    return matrices;
  }

  private Mask mask(Tensor weight, MaskKind kind, double alpha, long seed) {
    Mask[] mask = new Mask[1];
    Scopes.run(
        () -> {
          try (TensorMemory memory = TensorMemory.of(context, weight.detach())) {
            long shorter = Math.min(weight.size(0), weight.size(1));
            int rank = (int) Math.max(1, Math.round(RANK_SHARE * shorter));
            mask[0] =
                kind.of(
                    context,
                    memory.operand(),
                    new MaskKind.Request(rank, alpha, TOLERANCE, seed),
                    control);
          }
        });
    return mask[0];
  }

  private long train(
      Decoder before,
      Decoder policy,
      Map<String, Mask> masks,
      Optional<Double> longestNorm,
      Path scratch) {
    long elements = before.parameters().values().stream().mapToLong(Tensor::numel).sum();
    long[] taken = new long[1];
    Scopes.run(
        () -> {
          Map<String, Tensor> allowed = new LinkedHashMap<>();
          masks.forEach((name, mask) -> allowed.put(name, Tensors.of(mask)));
          try (Trainer trainer = trainer(policy, allowed);
              GeometryObserver geometry =
                  GeometryObserver.of(
                      context,
                      before,
                      name -> true,
                      1,
                      0,
                      GeometryOptions.DEFAULT,
                      this::measured);
              PatchSizeObserver sizes =
                  PatchSizeObserver.of(
                      context, scratch, PATCHED, event -> patched(event, elements))) {
            TrainingObserver scored = this::scored;
            TrainingObserver observers = TrainingObserver.all(List.of(scored, geometry, sizes));
            while (!trainer.isDone() && !isLongEnough(longestNorm)) {
              if (control.isCancelled()) {
                throw new CancelledException();
              }
              progress.accept(trainer.step());
              observers.on(trainer.next());
            }
            taken[0] = trainer.step();
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
    return taken[0];
  }

  private boolean isLongEnough(Optional<Double> longestNorm) {
    return longestNorm.isPresent() && relativeFrobenius() >= longestNorm.get();
  }

  private double relativeFrobenius() {
    return series.isEmpty() ? 0 : series.get(series.size() - 1).relativeFrobenius();
  }

  private void scored(TrainingEvent event) {
    String name = arm.method() == Arm.Method.SCRATCHPAD ? "loss" : "reward";
    score = event.metrics().getOrDefault(name, Double.NaN);
  }

  private void measured(TrainingEvent event) {
    hidden = event.metrics().get("geometry/hidden");
    series.add(
        new StudyRun.Step(
            event.step(),
            score,
            event.metrics().get("geometry/changed"),
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

  private Trainer trainer(Decoder policy, Map<String, Tensor> masks) {
    if (arm.method() == Arm.Method.SCRATCHPAD) {
      SupervisedOptions plain =
          SupervisedOptions.of(arm.steps(), BATCH, LONGEST, arm.rate(), arm.seed());
      SupervisedOptions options =
          new SupervisedOptions(
              plain.steps(),
              plain.batch(),
              ROWS,
              plain.checkpointed(),
              plain.longest(),
              plain.rate(),
              plain.schedule(),
              plain.optimizer(),
              plain.seed());
      return SupervisedTrainer.of(
          policy,
          behaviour.rollouts().tokenizer(),
          SupervisedTrainer.Source.of(Corpus.scratchpads(Corpus.TUNING), arm.seed()),
          options,
          masks);
    }
    TrainingOptions.Builder options =
        TrainingOptions.builder(
            arm.steps(), PROMPTS, COMPLETIONS, behaviour.sampling(), arm.rate(), arm.seed());
    if (arm.method() == Arm.Method.REJECTION) {
      options
          .objective(PolicyObjective.CISPO)
          .advantages(AdvantageRule.ONES)
          .kept(TrainingOptions.Kept.RIGHT);
    }
    return PolicyTrainer.of(
        policy,
        Optional.empty(),
        Corpus.sums(Corpus.TUNING),
        behaviour.rollouts(),
        options.build(),
        masks);
  }

  private Trained measure(
      Decoder before, Decoder policy, Map<String, Mask> masks, Path directory, long steps) {
    Behaviour.Divergence divergence = behaviour.divergence(steps, policy);
    StudyRun.Accuracy exact = behaviour.accuracy(policy);
    StudyRun.Accuracy stored;
    try (Decoder rounded = Decoder.load(context, directory)) {
      stored = behaviour.accuracy(rounded);
    }
    double[] sparsities = new double[SHUFFLES];
    double total = 0;
    double allowed = 0;
    double chosen = 0;
    double principal = 0;
    double low = 0;
    for (Map.Entry<String, Tensor> entry : matrices(before).entrySet()) {
      Largest largest = largest(entry.getValue(), policy, entry.getKey(), sparsities);
      long entries = entry.getValue().numel();
      total += entries;
      allowed += Optional.ofNullable(masks.get(entry.getKey())).map(Mask::count).orElse(entries);
      chosen += largest.count();
      principal += largest.principal();
      low += largest.low();
    }
    for (int i = 0; i < SHUFFLES; i++) {
      sparsities[i] /= total;
    }
    return new Trained(
        steps,
        allowed / total,
        stored,
        exact,
        divergence.measured(),
        divergence.predicted(),
        Math.round(hidden * total),
        relativeFrobenius(),
        NullEstimate.of("permuted-update", sparsities),
        principal / chosen,
        low / chosen,
        List.copyOf(series),
        List.copyOf(patches));
  }

  /** The half of the entries that moved farthest, and what of it is in masks. */
  private record Largest(long count, long principal, long low) {}

  /**
   * @param sparsities to which unchanged entries of shuffled updates are added
   */
  private Largest largest(Tensor base, Decoder policy, String name, double[] sparsities) {
    Largest[] largest = new Largest[1];
    Scopes.run(
        () -> {
          Tensor update = policy.weight(name).detach().sub(base.detach()).contiguous();
          Mask principal = mask(base, MaskKind.PRINCIPAL, ALPHA, 0);
          Mask low = mask(base, MaskKind.LOW, ALPHA, 0);
          long count = Math.round(ALPHA * base.numel());
          try (TensorMemory memory = TensorMemory.of(context, update)) {
            Mask farthest = MaskSelection.largest(context, memory.operand(), count, control);
            MaskSets.Overlaps overlaps =
                MaskSets.overlaps(context, List.of(farthest, principal, low));
            largest[0] = new Largest(count, overlaps.common(0, 1), overlaps.common(0, 2));
          }
          float[] moves = Tensors.floats(update);
          SplittableRandom random = new SplittableRandom(name.hashCode());
          for (int draw = 0; draw < SHUFFLES; draw++) {
            shuffle(moves, random);
            int own = draw;
            Scopes.run(() -> sparsities[own] += unchanged(base, moves));
          }
        });
    return largest[0];
  }

  private static void shuffle(float[] values, SplittableRandom random) {
    for (int i = values.length - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      float kept = values[i];
      values[i] = values[j];
      values[j] = kept;
    }
  }

  private static double unchanged(Tensor base, float[] moves) {
    Tensor before = base.detach();
    Tensor moved =
        before.add(Tensors.of(moves, moves.length).view_as(before)).to(ScalarType.BFloat16);
    return moved.eq(before.to(ScalarType.BFloat16)).sum().item_double();
  }
}
