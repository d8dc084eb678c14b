package org.threegate.analysis.study;

import org.threegate.analysis.statistics.Verdict;

/** Claims about the number of weights that change and the size of the change. */
final class SizeClaims {
  private final StudyRuns runs;

  SizeClaims(StudyRuns runs) {
    this.runs = runs;
  }

  StudyClaim sparsity() {
    StudyRun own = runs.run(StudyRuns.FIRST);
    double usual = runs.run(StudyRuns.USUAL).update().totals().sparsity();
    double equal = runs.run(StudyRuns.EQUAL_NORM).update().totals().sparsity();
    double sparsity = own.update().totals().sparsity();
    return new StudyClaim(
        "sparser-than-sft",
        "section 2, table 1",
        "Reinforcement learning changes fewer bf16 weights than supervised fine-tuning does",
        runs.above(1, MatrixMeasures::sparsity),
        StudyRuns.text(
            "Sparsity is %.3f, against %.3f for SFT at its usual rate and %.3f at the same ‖ΔW‖. The entries of the same float32 update in random places give %.3f: sparsity depends on how much weights change, not on which ones. Coherence (‖ΔW‖ divided by lr·T·√N) is %.2f against %.2f.",
            sparsity,
            usual,
            equal,
            own.update().sparsityPermuted().mean(),
            own.update().coherence(),
            runs.run(StudyRuns.EQUAL_NORM).update().coherence()),
        StudyRuns.SMALL + " Sparsity depends mainly on learning rate times steps.",
        new StudyClaim.Plot(
            "share of unchanged bf16 weights",
            false,
            runs.points(
                run ->
                    StudyRuns.point(
                        run,
                        Mean.certain(run.update().totals().sparsity()),
                        run.update().sparsityPermuted()))));
  }

  StudyClaim hiding() {
    StudyRun own = runs.run(StudyRuns.FIRST);
    Mean lost = own.behaviour().exact().minus(own.behaviour().stored());
    double hidden = own.update().hiddenShare();
    return new StudyClaim(
        "bf16-hides",
        "section 3.3, Gate III",
        "Rounding to bf16 hides most of the changes of reinforcement learning",
        own.update().hidden() > own.update().totals().counts().changed()
            ? Verdict.SUPPORTED
            : Verdict.CONTRADICTED,
        StudyRuns.text(
            "%.1f %% of the weights changed only in float32, and %.1f %% also in bf16. Accuracy of the float32 masters is %.3f; after rounding it is %.3f (difference %.3f ± %.3f).",
            100 * hidden,
            100 * (1 - own.update().totals().sparsity()),
            own.behaviour().exact().mean().value(),
            own.behaviour().stored().mean().value(),
            lost.value(),
            lost.se()),
        "The hidden share depends on the learning rate: at 1e-6 it is nearly everything.",
        new StudyClaim.Plot(
            "share of weights that changed only in float32",
            false,
            runs.points(run -> StudyRuns.point(run, Mean.certain(run.update().hiddenShare())))));
  }
}
