package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Verdict;

/** Claims about the agreement of the weights that two seeds change. */
final class AgreementClaims {
  static final RunMeasure JACCARD =
      RunMeasure.share("Jaccard index of the changed entries", run -> Double.NaN);

  private final StudyRuns runs;

  AgreementClaims(StudyRuns runs) {
    this.runs = runs;
  }

  List<Draft> seeds() {
    List<Draft> claims = new ArrayList<>();
    for (Finding finding : runs.result().consensus()) {
      claims.add(
          Draft.judged(
              new StudyClaim(
                  "seeds-agree",
                  "section 2.2, table 2",
                  "Two seeds change the same weights",
                  finding.verdict(),
                  StudyRuns.seen(finding),
                  runs.limits("The seeds train on the same task."),
                  List.of(),
                  plot(
                      List.of(
                          ofAgreement(
                              "pairs of seeds, all matrices",
                              sum(runs.result().seeds().stream())))))));
    }
    return claims;
  }

  static StudyClaim.Plot plot(List<StudyClaim.Point> points) {
    return new StudyClaim.Plot(JACCARD.name(), JACCARD.scale(), JACCARD.logarithmic(), points);
  }

  /**
   * Returns the claim about how much of the agreement is lost after a rotation of the axes: in the
   * rotated matrices more than in others. A pair of seeds is one replicate.
   */
  Optional<Draft> axes() {
    List<Map<String, Agreement>> before = runs.result().seeds();
    List<Map<String, Agreement>> after = runs.result().rotated();
    if (after.isEmpty()) {
      return Optional.empty();
    }
    double[] lost = new double[after.size()];
    Arrays.setAll(
        lost,
        i ->
            excess(before.get(i), true)
                - excess(after.get(i), true)
                - (excess(before.get(i), false) - excess(after.get(i), false)));
    Agreement same = sum(before.stream(), this::isRotated);
    Agreement other = sum(before.stream(), name -> !isRotated(name));
    Agreement turned = sum(after.stream(), this::isRotated);
    Agreement otherAfter = sum(after.stream(), name -> !isRotated(name));
    return Optional.of(
        Draft.of(
            new StudyClaim(
                "axes-decide",
                "section 4.3",
                "The coordinate axes of the weights decide which weights change",
                Verdict.UNDETERMINED,
                StudyRuns.text(
                    "In the %d rotated matrices the seeds' Jaccard index falls from %.3f (magnitude alone: %.3f) to %.3f (%.3f), elsewhere from %.3f to %.3f.",
                    runs.result().rotatedMatrices().size(),
                    same.jaccard(),
                    same.magnitudeJaccard(),
                    turned.jaccard(),
                    turned.magnitudeJaccard(),
                    other.jaccard(),
                    otherAfter.jaccard()),
                runs.limits(
                    "Adam is not invariant under rotation, because it scales each coordinate separately. The optimizer's axes explain this result as well as the model's geometry does."),
                List.of(Contrast.paired("no loss of agreement by the rotation", true, lost)),
                plot(
                    List.of(
                        ofAgreement("rotated matrices, same base", same),
                        ofAgreement("rotated matrices, rotated base", turned),
                        ofAgreement("others, same base", other),
                        ofAgreement("others, rotated base", otherAfter)))),
            1,
            JACCARD));
  }

  private boolean isRotated(String name) {
    return runs.result().rotatedMatrices().contains(name);
  }

  /** Returns the log odds ratio of the agreement beyond magnitude. */
  private double excess(Map<String, Agreement> pair, boolean turned) {
    return sum(Stream.of(pair), name -> isRotated(name) == turned)
        .againstMagnitude()
        .effect()
        .log();
  }

  /** Returns the agreement in all matrices of all pairs. */
  static Agreement sum(Stream<Map<String, Agreement>> pairs) {
    return sum(pairs, name -> true);
  }

  private static Agreement sum(Stream<Map<String, Agreement>> pairs, Predicate<String> selected) {
    return pairs
        .flatMap(pair -> pair.entrySet().stream())
        .filter(entry -> selected.test(entry.getKey()))
        .map(Map.Entry::getValue)
        .reduce(Agreement.NONE, Agreement::plus);
  }

  static StudyClaim.Point ofAgreement(String label, Agreement agreement) {
    return new StudyClaim.Point(
        label,
        agreement.jaccard(),
        Double.NaN,
        List.of(
            NullEstimate.analytic(
                "magnitude-matched", agreement.magnitudeJaccard(), agreement.magnitudeSd()),
            NullEstimate.analytic("independent", agreement.bernoulliJaccard(), Double.NaN)));
  }
}
