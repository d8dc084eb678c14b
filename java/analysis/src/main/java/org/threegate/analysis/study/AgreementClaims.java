package org.threegate.analysis.study;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.threegate.analysis.statistics.Agreement;
import org.threegate.analysis.statistics.Finding;
import org.threegate.analysis.statistics.NullEstimate;

/** Claims about the agreement of the weights that two seeds change. */
final class AgreementClaims {
  private final StudyRuns runs;

  AgreementClaims(StudyRuns runs) {
    this.runs = runs;
  }

  List<StudyClaim> seeds() {
    List<StudyClaim> claims = new ArrayList<>();
    for (Finding finding : runs.result().consensus()) {
      claims.add(
          new StudyClaim(
              "seeds-agree",
              "section 2.2, table 2",
              "Two seeds change the same weights",
              finding.verdict(),
              StudyRuns.seen(finding),
              StudyRuns.SMALL + " Both seeds train on the same task.",
              new StudyClaim.Plot(
                  "Jaccard index of the changed entries",
                  false,
                  List.of(
                      ofAgreement(
                          "two seeds, all matrices",
                          sum(runs.result().seeds().values().stream()))))));
    }
    return claims;
  }

  /** Returns the claim about how much of the agreement is lost after a rotation of the axes. */
  Optional<StudyClaim> axes() {
    if (runs.result().rotated().isEmpty()) {
      return Optional.empty();
    }
    List<double[]> turned = new ArrayList<>();
    List<double[]> others = new ArrayList<>();
    runs.result()
        .seeds()
        .forEach(
            (name, agreement) -> {
              double[] pair = {excess(agreement), excess(runs.result().rotated().get(name))};
              (runs.result().rotatedMatrices().contains(name) ? turned : others).add(pair);
            });
    Mean lost = Mean.ofPairs(column(turned, 0), column(turned, 1));
    Mean elsewhere = Mean.ofPairs(column(others, 0), column(others, 1));
    double error = Math.hypot(lost.se(), elsewhere.se());
    Mean difference = new Mean(lost.value() - elsewhere.value(), error);
    Agreement same = of(runs.result().seeds(), true);
    Agreement after = of(runs.result().rotated(), true);
    return Optional.of(
        new StudyClaim(
            "axes-decide",
            "section 4.3",
            "The coordinate axes of the weights decide which weights change",
            Contrast.verdict(difference.z()),
            StudyRuns.text(
                "In the %d rotated matrices the seeds' Jaccard index falls from %.3f (magnitude alone: %.3f) to %.3f (%.3f), elsewhere from %.3f to %.3f.",
                turned.size(),
                same.jaccard(),
                same.magnitudeJaccard(),
                after.jaccard(),
                after.magnitudeJaccard(),
                of(runs.result().seeds(), false).jaccard(),
                of(runs.result().rotated(), false).jaccard()),
            "Adam is not invariant under rotation, because it scales each coordinate separately. The optimizer's axes explain this result as well as the model's geometry does.",
            new StudyClaim.Plot(
                "Jaccard index of the changed entries",
                false,
                List.of(
                    ofAgreement("rotated matrices, same base", same),
                    ofAgreement("rotated matrices, rotated base", after),
                    ofAgreement("others, same base", of(runs.result().seeds(), false)),
                    ofAgreement("others, rotated base", of(runs.result().rotated(), false))))));
  }

  private static StudyClaim.Point ofAgreement(String label, Agreement agreement) {
    return new StudyClaim.Point(
        label,
        agreement.jaccard(),
        Double.NaN,
        List.of(
            NullEstimate.analytic(
                "magnitude-matched", agreement.magnitudeJaccard(), agreement.magnitudeSd()),
            NullEstimate.analytic("independent", agreement.bernoulliJaccard(), Double.NaN)));
  }

  private static Agreement sum(Stream<Agreement> agreements) {
    return agreements.reduce(Agreement.NONE, Agreement::plus);
  }

  private Agreement of(Map<String, Agreement> agreements, boolean turned) {
    return sum(
        agreements.entrySet().stream()
            .filter(entry -> runs.result().rotatedMatrices().contains(entry.getKey()) == turned)
            .map(Map.Entry::getValue));
  }

  private static double excess(Agreement agreement) {
    return agreement.jaccard() - agreement.magnitudeJaccard();
  }

  private static double[] column(List<double[]> rows, int column) {
    return rows.stream().mapToDouble(row -> row[column]).toArray();
  }
}
