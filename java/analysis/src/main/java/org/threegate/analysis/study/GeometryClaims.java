package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.ToDoubleFunction;
import java.util.stream.Collectors;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Verdict;

/** Claims about spectra, subspaces and the location of an update. */
final class GeometryClaims {
  private final StudyRuns runs;

  GeometryClaims(StudyRuns runs) {
    this.runs = runs;
  }

  Draft nss() {
    return ofSupervision(
        "drifts-less-than-sft",
        "Reinforcement learning preserves singular values, and supervised fine-tuning does not",
        "spectral drift NSS",
        GeometryClaims::nss,
        GeometryClaims::nssNull,
        "");
  }

  Draft rotation() {
    return ofSupervision(
        "rotates-less-than-sft",
        "Reinforcement learning rotates leading subspaces less than supervised fine-tuning does",
        "largest principal angle, radians",
        GeometryClaims::angle,
        GeometryClaims::angleNull,
        "A comparison leaves out the matrices whose gap decides the angle in one of its runs.");
  }

  private Draft ofSupervision(
      String id,
      String statement,
      String name,
      ToDoubleFunction<MatrixMeasures> measure,
      ToDoubleFunction<MatrixMeasures> turned,
      String limits) {
    RunMeasure mean = RunMeasure.size(name, "%.2e", run -> mean(run, measure));
    RunMeasure ofNull = RunMeasure.size(name, "%.2e", run -> mean(run, turned));
    return Draft.of(
        new StudyClaim(
            id,
            "section 4.1",
            statement,
            Verdict.UNDETERMINED,
            StudyRuns.text(
                "%s The same singular values in random directions: %s.",
                sentence(runs.values(mean, runs.withControls())),
                StudyRuns.text("%.2e", runs.mean(ofNull, StudyRuns.RLVR))),
            runs.limits((limits + " " + runs.ofData()).strip()),
            runs.ofMatrices(name, measure),
            runs.plot(
                mean,
                run ->
                    List.of(
                        NullEstimate.analytic("spectrum-preserving", ofNull.of(run), Double.NaN)))),
        -1,
        mean);
  }

  private static String sentence(String text) {
    return Character.toUpperCase(text.charAt(0)) + text.substring(1);
  }

  /** Returns the mean over matrices; NaN if gaps decide all angles. */
  private static double mean(StudyRun run, ToDoubleFunction<MatrixMeasures> measure) {
    return run.matrices().stream()
        .mapToDouble(measure)
        .filter(Double::isFinite)
        .average()
        .orElse(Double.NaN);
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

  /** Returns the claims about the location of one update. All seeds must give the same verdict. */
  List<Draft> ofOneUpdate() {
    List<Draft> claims = new ArrayList<>();
    all(
            "preserves-spectrum",
            "section 4.1",
            "The update preserves singular values better than random updates of the same norm",
            RunMeasure.size("spectral drift NSS", "%.2e", of("preserves-spectrum")))
        .ifPresent(claims::add);
    all(
            "avoids-principal-weights",
            "section 4.2, figure 5",
            "The update avoids principal weights",
            RunMeasure.share("overlap with M_princ", of("avoids-principal-weights")))
        .ifPresent(claims::add);
    all(
            "prefers-small-weights",
            "section 4.2, figure 5",
            "The update prefers small weights",
            RunMeasure.share("overlap with M_low", of("prefers-small-weights")))
        .ifPresent(claims::add);
    all(
            "avoids-principal-directions",
            "section 4, Gate II",
            "The update avoids the principal directions",
            RunMeasure.size(
                "share of energy in the leading directions",
                "%.2e",
                of("avoids-principal-directions")))
        .ifPresent(claims::add);
    return claims;
  }

  private static ToDoubleFunction<StudyRun> of(String id) {
    return run ->
        run.finding(id)
            .filter(finding -> finding.evidence().votes().matrices() > 0)
            .map(finding -> finding.evidence().means().observed())
            .orElse(Double.NaN);
  }

  private Optional<Draft> all(String id, String source, String statement, RunMeasure measure) {
    List<Finding> findings =
        runs.arm(StudyRuns.RLVR).stream().flatMap(run -> run.finding(id).stream()).toList();
    if (findings.size() < runs.arm(StudyRuns.RLVR).size()) {
      return Optional.empty();
    }
    Finding first = findings.get(0);
    boolean agree = findings.stream().allMatch(one -> one.verdict() == first.verdict());
    String seeds =
        findings.size() == 1
            ? "One seed was trained."
            : agree
                ? StudyRuns.text("All %d seeds give this verdict.", findings.size())
                : "Verdicts by seed: "
                    + findings.stream()
                        .map(one -> one.verdict().label())
                        .collect(Collectors.joining(", "))
                    + ".";
    StudyRun.Update update = runs.first().update();
    String masks =
        id.equals("avoids-principal-weights")
            ? StudyRuns.text(
                " Of the half of entries with the largest change, %.3f are principal (chance 0.5).",
                update.principalOfLargest())
            : id.equals("prefers-small-weights")
                ? StudyRuns.text(
                    " Of the half of entries with the largest change, %.3f are small (chance 0.5).",
                    update.lowOfLargest())
                : "";
    return Optional.of(
        Draft.judged(
            new StudyClaim(
                id,
                source,
                statement,
                agree ? first.verdict() : Verdict.UNDETERMINED,
                StudyRuns.seen(first) + " " + seeds + masks,
                runs.limits(""),
                List.of(),
                runs.plot(
                    measure,
                    run -> run.finding(id).map(GeometryClaims::nulls).orElse(List.of())))));
  }

  private static List<NullEstimate> nulls(Finding finding) {
    Finding.Means means = finding.evidence().means();
    List<NullEstimate> nulls = new ArrayList<>();
    nulls.add(NullEstimate.analytic("strictest null", means.nullMean(), Double.NaN));
    means
        .naiveMean()
        .ifPresent(mean -> nulls.add(NullEstimate.analytic("chance", mean, Double.NaN)));
    return nulls;
  }
}
