package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;

/** Claims about the divergence of the output distribution and the curvature along the update. */
final class DivergenceClaims {
  private final StudyRuns runs;

  DivergenceClaims(StudyRuns runs) {
    this.runs = runs;
  }

  StudyClaim divergence() {
    StudyRun own = runs.run(StudyRuns.FIRST);
    Mean usual =
        runs.run(StudyRuns.USUAL).behaviour().klPerToken().minus(own.behaviour().klPerToken());
    Mean matched =
        runs.run(StudyRuns.EQUAL_NORM).behaviour().klPerToken().minus(own.behaviour().klPerToken());
    return new StudyClaim(
        "kl-leash",
        "section 3.1, Gate I",
        "Reinforcement learning stays closer to the base's distribution than supervised fine-tuning does",
        Contrast.verdict(usual.z(), matched.z()),
        StudyRuns.text(
            "KL(base ‖ tuned) is %.4f ± %.4f nats per token; it is %.4f ± %.4f for SFT at its usual rate and %.4f ± %.4f at the same ‖ΔW‖; ½ΔᵀFΔ of the linear layers predicts %.4f for reinforcement learning.",
            own.behaviour().klPerToken().value(),
            own.behaviour().klPerToken().se(),
            runs.run(StudyRuns.USUAL).behaviour().klPerToken().value(),
            runs.run(StudyRuns.USUAL).behaviour().klPerToken().se(),
            runs.run(StudyRuns.EQUAL_NORM).behaviour().klPerToken().value(),
            runs.run(StudyRuns.EQUAL_NORM).behaviour().klPerToken().se(),
            own.behaviour().klPredicted().map(Mean::value).orElse(Double.NaN)),
        "Supervised fine-tuning also had to learn a different style of answers.",
        new StudyClaim.Plot(
            "KL(base ‖ tuned), nats per token",
            true,
            runs.points(
                run ->
                    StudyRuns.point(
                        run,
                        run.behaviour().klPerToken(),
                        run.behaviour()
                            .klPredicted()
                            .map(
                                predicted ->
                                    new NullEstimate[] {
                                      NullEstimate.analytic(
                                          "½ΔᵀFΔ", predicted.value(), predicted.se())
                                    })
                            .orElse(new NullEstimate[0])))));
  }

  List<StudyClaim> curvature() {
    List<StudyClaim> claims = new ArrayList<>();
    for (Finding finding : runs.result().curvature()) {
      claims.add(
          new StudyClaim(
              finding.id(),
              "section 3.2",
              finding.id().equals("low-curvature")
                  ? "The update avoids directions of high curvature"
                  : "The principal part of the update has higher curvature than the rest of the update",
              finding.verdict(),
              StudyRuns.seen(finding),
              StudyRuns.SMALL + " Each layer is measured separately.",
              new StudyClaim.Plot(
                  "curvature of a unit step along the direction",
                  true,
                  runs.result().curvatureAlong().entrySet().stream()
                      .map(
                          along ->
                              new StudyClaim.Point(
                                  along.getKey(), along.getValue(), Double.NaN, List.of()))
                      .toList())));
    }
    return claims;
  }
}
