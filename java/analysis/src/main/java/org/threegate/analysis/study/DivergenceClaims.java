package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.SmallestEffect;
import org.threegate.analysis.statistics.Verdict;

/** Claims about the divergence of the output distribution and the curvature along the update. */
final class DivergenceClaims {
  private static final RunMeasure DIVERGENCE =
      RunMeasure.size(
          "KL(base ‖ tuned), nats per token", "%.4f", run -> run.behaviour().klPerToken().value());

  private final StudyRuns runs;

  DivergenceClaims(StudyRuns runs) {
    this.runs = runs;
  }

  Draft divergence() {
    List<Contrast> contrasts = new ArrayList<>();
    if (runs.has(StudyRuns.USUAL)) {
      contrasts.add(contrast(StudyRuns.USUAL, false));
    }
    runs.matchedControls().forEach(control -> contrasts.add(contrast(control, true)));
    String predicted =
        runs.first()
            .behaviour()
            .klPredicted()
            .map(
                mean ->
                    StudyRuns.text(
                        " ½ΔᵀFΔ of the linear layers predicts %.4f for seed %d of reinforcement learning.",
                        mean.value(), runs.first().recipe().seed()))
            .orElse("");
    return Draft.of(
        new StudyClaim(
            "kl-leash",
            "section 3.1, Gate I",
            "Reinforcement learning stays closer to the base's distribution than supervised fine-tuning does",
            Verdict.UNDETERMINED,
            runs.values(DIVERGENCE, runs.withControls()) + predicted,
            runs.limits(
                runs.ofData()
                    + " Supervised fine-tuning on demonstrations also had to learn a different style of answers."),
            contrasts,
            runs.plot(
                DIVERGENCE,
                run ->
                    run.behaviour().klPredicted().stream()
                        .map(mean -> NullEstimate.analytic("½ΔᵀFΔ", mean.value(), mean.se()))
                        .toList())),
        -1,
        DIVERGENCE);
  }

  /** All runs read the same texts, so the error of the texts is not in the spread of seeds. */
  private Contrast contrast(String control, boolean matched) {
    return runs.between(DIVERGENCE, StudyRuns.RLVR, control, matched)
        .withErrorOf(Math.hypot(errorOfTexts(StudyRuns.RLVR), errorOfTexts(control)));
  }

  /** Returns the mean relative error of the divergence, which is that of its logarithm. */
  private double errorOfTexts(String arm) {
    return runs.arm(arm).stream()
        .map(run -> run.behaviour().klPerToken())
        .mapToDouble(mean -> mean.se() / mean.value())
        .average()
        .orElse(Double.NaN);
  }

  List<Draft> curvature() {
    List<Draft> claims = new ArrayList<>();
    for (Finding finding : runs.result().curvature()) {
      claims.add(
          Draft.judged(
              new StudyClaim(
                  finding.id(),
                  "section 3.2",
                  finding.id().equals("low-curvature")
                      ? "The update avoids directions of high curvature"
                      : "The principal part of the update has higher curvature than the rest of the update",
                  finding.verdict(),
                  StudyRuns.seen(finding),
                  runs.limits(
                      "Curvature is measured along the update of one seed, layer by layer."),
                  List.of(),
                  new StudyClaim.Plot(
                      "curvature of a unit step along the direction",
                      SmallestEffect.Scale.RATIO,
                      true,
                      runs.result().curvatureAlong().entrySet().stream()
                          .map(
                              along ->
                                  new StudyClaim.Point(
                                      along.getKey(), along.getValue(), Double.NaN, List.of()))
                          .toList()))));
    }
    return claims;
  }
}
