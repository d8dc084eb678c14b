package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;

/** Claims about how far the distribution moves, and the curvature on the way. */
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
        "Reinforcement stays closer to the base's distribution than supervision does",
        Contrast.verdict(usual.z(), matched.z()),
        StudyRuns.text(
            "KL(base ‖ tuned) is %.4f ± %.4f nats a token, %.4f ± %.4f of SFT at its usual rate and %.4f ± %.4f at the same ‖ΔW‖; ½ΔᵀFΔ of the linear layers predicts %.4f for reinforcement.",
            own.behaviour().klPerToken().value(),
            own.behaviour().klPerToken().se(),
            runs.run(StudyRuns.USUAL).behaviour().klPerToken().value(),
            runs.run(StudyRuns.USUAL).behaviour().klPerToken().se(),
            runs.run(StudyRuns.EQUAL_NORM).behaviour().klPerToken().value(),
            runs.run(StudyRuns.EQUAL_NORM).behaviour().klPerToken().se(),
            own.behaviour().klPredicted().map(Mean::value).orElse(Double.NaN)),
        "The other style of answers is part of what supervision had to learn.",
        new StudyClaim.Plot(
            "KL(base ‖ tuned), nats a token",
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
                  : "The principal part of the update meets more curvature than the rest of it",
              finding.verdict(),
              StudyRuns.seen(finding),
              StudyRuns.SMALL + " Each layer is measured by itself.",
              new StudyClaim.Plot(
                  "curvature of a unit step along it",
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
