package org.threegate.analysis.study;

import org.threegate.analysis.statistics.Verdict;

/** Claims about how many weights change, and by how much. */
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
        "Reinforcement changes fewer bf16 weights than supervision does",
        runs.above(1, MatrixMeasures::sparsity),
        StudyRuns.text(
            "Sparsity is %.3f against %.3f of SFT at its usual rate and %.3f at the same ‖ΔW‖; the entries of the same float32 update at random places give %.3f, so the number follows from how far weights move, not from which. Coherence (how far of lr·T·√N the weights got) is %.2f against %.2f.",
            sparsity,
            usual,
            equal,
            own.update().sparsityPermuted().mean(),
            own.update().coherence(),
            runs.run(StudyRuns.EQUAL_NORM).update().coherence()),
        StudyRuns.SMALL + " Sparsity depends on rate times steps before anything else.",
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
        "Rounding to bf16 hides most of what reinforcement changes",
        own.update().hidden() > own.update().totals().changed()
            ? Verdict.SUPPORTED
            : Verdict.CONTRADICTED,
        StudyRuns.text(
            "%.1f %% of the weights changed in float32 alone, %.1f %% in bf16, too; accuracy of the float32 masters is %.3f, after rounding %.3f (difference %.3f ± %.3f).",
            100 * hidden,
            100 * (1 - own.update().totals().sparsity()),
            own.behaviour().exact().mean().value(),
            own.behaviour().stored().mean().value(),
            lost.value(),
            lost.se()),
        "Which part is hidden is set by the rate: at 1e-6 nearly all of it.",
        new StudyClaim.Plot(
            "share of weights that changed in float32 alone",
            false,
            runs.points(run -> StudyRuns.point(run, Mean.certain(run.update().hiddenShare())))));
  }
}
