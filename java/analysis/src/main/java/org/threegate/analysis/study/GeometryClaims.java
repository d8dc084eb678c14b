package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Verdict;

/** Claims about spectra, subspaces and the location of an update. */
final class GeometryClaims {
  private final StudyRuns runs;

  GeometryClaims(StudyRuns runs) {
    this.runs = runs;
  }

  StudyClaim nss() {
    return new StudyClaim(
        "drifts-less-than-sft",
        "section 4.1",
        "Reinforcement learning preserves singular values, and supervised fine-tuning does not",
        runs.above(-1, matrix -> Math.log(nss(matrix))),
        geometry("NSS", GeometryClaims::nss, GeometryClaims::nssNull),
        StudyRuns.SMALL,
        new StudyClaim.Plot(
            "spectral drift NSS",
            true,
            runs.points(
                run ->
                    StudyRuns.point(
                        run,
                        Mean.certain(StudyRuns.mean(run, GeometryClaims::nss)),
                        NullEstimate.analytic(
                            "spectrum-preserving",
                            StudyRuns.mean(run, GeometryClaims::nssNull),
                            Double.NaN)))));
  }

  StudyClaim rotation() {
    return new StudyClaim(
        "rotates-less-than-sft",
        "section 4.1",
        "Reinforcement learning rotates leading subspaces less than supervised fine-tuning does",
        runs.above(-1, matrix -> Math.log(angle(matrix))),
        geometry("The largest angle", GeometryClaims::angle, GeometryClaims::angleNull),
        StudyRuns.SMALL + " Each run excludes its own matrices whose gap decides the angle.",
        new StudyClaim.Plot(
            "largest principal angle, radians",
            true,
            runs.points(
                run ->
                    StudyRuns.point(
                        run,
                        Mean.certain(StudyRuns.mean(run, GeometryClaims::angle)),
                        NullEstimate.analytic(
                            "spectrum-preserving",
                            StudyRuns.mean(run, GeometryClaims::angleNull),
                            Double.NaN)))));
  }

  private String geometry(
      String name,
      ToDoubleFunction<MatrixMeasures> measure,
      ToDoubleFunction<MatrixMeasures> turned) {
    StudyRun own = runs.run(StudyRuns.FIRST);
    return StudyRuns.text(
        "%s is %s (mean over matrices). It is %s for SFT at its usual rate and %s for SFT at the same ‖ΔW‖. The same singular values in random directions give %s.",
        name,
        known(StudyRuns.mean(own, measure)),
        known(StudyRuns.mean(runs.run(StudyRuns.USUAL), measure)),
        known(StudyRuns.mean(runs.run(StudyRuns.EQUAL_NORM), measure)),
        known(StudyRuns.mean(own, turned)));
  }

  /** Formats a value. It is NaN if no matrix is left because gaps decide all angles. */
  private static String known(double value) {
    return Double.isNaN(value)
        ? "decided by the gap in every matrix"
        : StudyRuns.text("%.2e", value);
  }

  private static double nss(MatrixMeasures matrix) {
    return matrix.nss().value();
  }

  private static double nssNull(MatrixMeasures matrix) {
    return matrix.nss().nullMean();
  }

  private static double angle(MatrixMeasures matrix) {
    return matrix.gapLimited() ? Double.NaN : matrix.angle().value();
  }

  private static double angleNull(MatrixMeasures matrix) {
    return matrix.gapLimited() ? Double.NaN : matrix.angle().nullMean();
  }

  /** Returns the claims about the location of one update. Both seeds must give the same verdict. */
  List<StudyClaim> ofOneUpdate() {
    List<StudyClaim> claims = new ArrayList<>();
    both(
            "preserves-spectrum",
            "section 4.1",
            "The update preserves singular values better than random updates of the same norm",
            "spectral drift NSS",
            true)
        .ifPresent(claims::add);
    both(
            "avoids-principal-weights",
            "section 4.2, figure 5",
            "The update avoids principal weights",
            "overlap with M_princ",
            false)
        .ifPresent(claims::add);
    both(
            "prefers-small-weights",
            "section 4.2, figure 5",
            "The update prefers small weights",
            "overlap with M_low",
            false)
        .ifPresent(claims::add);
    both(
            "avoids-principal-directions",
            "section 4, Gate II",
            "The update avoids the principal directions",
            "share of energy in the leading directions",
            true)
        .ifPresent(claims::add);
    return claims;
  }

  private Optional<StudyClaim> both(
      String id, String source, String statement, String measure, boolean logarithmic) {
    Optional<Finding> one = runs.run(StudyRuns.FIRST).finding(id);
    Optional<Finding> two = runs.run(StudyRuns.SECOND).finding(id);
    if (one.isEmpty() || two.isEmpty()) {
      return Optional.empty();
    }
    Verdict verdict =
        one.get().verdict() == two.get().verdict() ? one.get().verdict() : Verdict.UNDETERMINED;
    String masks =
        id.equals("avoids-principal-weights")
            ? StudyRuns.text(
                " Of the half of entries with the largest change, %.3f are principal (chance 0.5).",
                runs.run(StudyRuns.FIRST).update().principalOfLargest())
            : id.equals("prefers-small-weights")
                ? StudyRuns.text(
                    " Of the half of entries with the largest change, %.3f are small (chance 0.5).",
                    runs.run(StudyRuns.FIRST).update().lowOfLargest())
                : "";
    return Optional.of(
        new StudyClaim(
            id,
            source,
            statement,
            verdict,
            StudyRuns.seen(one.get()) + " Seed 2: " + two.get().verdict().label() + "." + masks,
            StudyRuns.SMALL,
            new StudyClaim.Plot(
                measure,
                logarithmic,
                runs.points(
                    run ->
                        run.finding(id)
                            .filter(finding -> finding.evidence().votes().matrices() > 0)
                            .map(finding -> ofFinding(run, finding))
                            .orElse(StudyRuns.point(run, Mean.certain(Double.NaN)))))));
  }

  private static StudyClaim.Point ofFinding(StudyRun run, Finding finding) {
    Finding.Means means = finding.evidence().means();
    List<NullEstimate> nulls = new ArrayList<>();
    nulls.add(NullEstimate.analytic("strictest null", means.nullMean(), Double.NaN));
    means
        .naiveMean()
        .ifPresent(mean -> nulls.add(NullEstimate.analytic("chance", mean, Double.NaN)));
    return new StudyClaim.Point(run.title(), means.observed(), Double.NaN, nulls);
  }
}
