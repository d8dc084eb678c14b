package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.analysis.statistics.Verdict;

/** Claims about the number of weights that change and the size of the change. */
final class SizeClaims {
  private static final RunMeasure SPARSITY =
      RunMeasure.share("share of unchanged bf16 weights", run -> run.update().totals().sparsity());
  private static final RunMeasure HIDDEN =
      RunMeasure.share(
          "share of changes that bf16 hides",
          run -> {
            double hidden = run.update().hidden();
            return hidden / (hidden + run.update().totals().counts().changed());
          });

  private static final double HALF = 0.5;

  private final StudyRuns runs;

  SizeClaims(StudyRuns runs) {
    this.runs = runs;
  }

  /**
   * The null model is the same float32 update in random places: if it is as sparse, then how far
   * weights move explains how many of them change.
   */
  Draft sparsity() {
    List<Contrast> contrasts = new ArrayList<>(runs.ofSupervision(SPARSITY));
    contrasts.add(
        Contrast.paired(
            "the same update in random places",
            true,
            runs.arm(StudyRuns.RLVR).stream()
                .mapToDouble(
                    run ->
                        SPARSITY.log(SPARSITY.of(run))
                            - SPARSITY.log(run.update().sparsityPermuted().mean()))
                .toArray()));
    RunMeasure coherence =
        RunMeasure.size("Coherence ‖ΔW‖/(lr·T·√N)", "%.2f", run -> run.update().coherence());
    return Draft.of(
        new StudyClaim(
            "sparser-than-sft",
            "section 2, table 1",
            "Reinforcement learning changes fewer bf16 weights than supervised fine-tuning does",
            Verdict.UNDETERMINED,
            StudyRuns.text(
                "%s The same float32 updates in random places give %.3f for reinforcement learning. %s",
                sentence(runs.values(SPARSITY, runs.withControls())),
                runs.arm(StudyRuns.RLVR).stream()
                    .mapToDouble(run -> run.update().sparsityPermuted().mean())
                    .average()
                    .orElse(Double.NaN),
                runs.values(coherence, runs.withControls())),
            runs.limits(runs.ofData()),
            contrasts,
            runs.plot(SPARSITY, run -> List.of(run.update().sparsityPermuted()))),
        1,
        SPARSITY);
  }

  private static String sentence(String text) {
    return Character.toUpperCase(text.charAt(0)) + text.substring(1);
  }

  /**
   * The share of hidden changes is a curve over the learning rate times the number of steps. If it
   * is above a half at one rate and below it at another, then the rate and the steps explain it.
   */
  Draft hiding() {
    StudyRun own = runs.first();
    Mean lost = own.behaviour().exact().minus(own.behaviour().stored());
    List<String> arms = new ArrayList<>(List.of(StudyRuns.RLVR));
    if (runs.has(StudyRuns.SLOW)) {
      arms.add(StudyRuns.SLOW);
    }
    return Draft.of(
        new StudyClaim(
            "bf16-hides",
            "section 3.3, Gate III",
            "Rounding to bf16 hides most of the changes of reinforcement learning",
            Verdict.UNDETERMINED,
            StudyRuns.text(
                "%s %s Accuracy of the float32 masters of seed %d is %.3f; after rounding it is %.3f (difference %.3f ± %.3f).",
                sentence(runs.values(HIDDEN, arms)),
                curve(),
                own.recipe().seed(),
                own.behaviour().exact().mean().value(),
                own.behaviour().stored().mean().value(),
                lost.value(),
                lost.se()),
            runs.limits(
                arms.size() > 1
                    ? "The share depends on the learning rate times the number of steps."
                    : "The share depends on the learning rate times the number of steps, and one rate was tried."),
            arms.stream().map(this::ofHalf).toList(),
            runs.plot(HIDDEN, run -> List.of())),
        1,
        HIDDEN);
  }

  private Contrast ofHalf(String arm) {
    return Contrast.paired(
        "one half, " + runs.title(arm),
        true,
        runs.arm(arm).stream().mapToDouble(run -> HIDDEN.log(HIDDEN.of(run))).toArray());
  }

  /** Describes the curve at powers of ten of the steps and at the last step. */
  private String curve() {
    StudyRun first = runs.first();
    double rate = first.recipe().rate();
    List<String> points = new ArrayList<>();
    for (long step = 1; step < first.steps(); step *= 10) {
      point(StudyRuns.RLVR, rate, step).ifPresent(points::add);
    }
    point(StudyRuns.RLVR, rate, first.steps()).ifPresent(points::add);
    return "By rate × steps the share is "
        + String.join(", ", points)
        + half(rate, first.steps())
        + "."
        + (runs.has(StudyRuns.SLOW) ? equalProduct(rate) : "");
  }

  /** Compares two rates where their products with the steps are equal. */
  private String equalProduct(double rate) {
    StudyRun slow = runs.arm(StudyRuns.SLOW).get(0);
    double slowRate = slow.recipe().rate();
    long same = Math.round(slow.steps() * slowRate / rate);
    Optional<String> one = point(StudyRuns.SLOW, slowRate, slow.steps());
    Optional<String> two = point(StudyRuns.RLVR, rate, same);
    return one.isEmpty() || two.isEmpty()
        ? ""
        : StudyRuns.text(
            " The rates %.0e and %.0e give %s and %s.", slowRate, rate, one.get(), two.get());
  }

  /** Returns a point of the curve; empty if the step was not recorded. */
  private Optional<String> point(String arm, double rate, long step) {
    double share = at(arm, step);
    return Double.isNaN(share)
        ? Optional.empty()
        : Optional.of(StudyRuns.text("%.3f at %.1e", share, rate * step));
  }

  /** Returns the first product of rate and steps at which less than half is hidden. */
  private String half(double rate, long last) {
    for (long step = 1; step <= last; step++) {
      if (at(StudyRuns.RLVR, step) < HALF) {
        return StudyRuns.text("; it falls below one half at %.1e", rate * step);
      }
    }
    return "";
  }

  /** Returns the mean over seeds at a step; NaN if it was not recorded. */
  private double at(String arm, long step) {
    return runs.arm(arm).stream()
        .flatMap(run -> run.series().stream())
        .filter(recorded -> recorded.step() == step)
        .mapToDouble(StudyRun.Step::hiddenOfChanges)
        .average()
        .orElse(Double.NaN);
  }
}
