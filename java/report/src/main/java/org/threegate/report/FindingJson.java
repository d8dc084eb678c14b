package org.threegate.report;

import java.util.List;
import java.util.Map;
import org.threegate.analysis.statistics.Finding;

/** A finding with its verdict and the evidence for it. */
record FindingJson(String id, String verdict, String text, Evidence evidence) {
  record Evidence(
      int matrices,
      int supporting,
      int contrary,
      int naivelySupporting,
      double observed,
      double nullMean,
      double naiveMean,
      double medianZ,
      double explainedShare,
      Map<String, Integer> strictestNull,
      Map<String, Finding.Votes> byKind,
      String excluded) {}

  static List<FindingJson> of(List<Finding> findings) {
    return findings.stream().map(FindingJson::of).toList();
  }

  private static FindingJson of(Finding finding) {
    Finding.Evidence evidence = finding.evidence();
    return new FindingJson(
        finding.id(),
        finding.verdict().label(),
        finding.text(),
        new Evidence(
            evidence.votes().matrices(),
            evidence.votes().supporting(),
            evidence.votes().contrary(),
            evidence.naivelySupporting(),
            evidence.means().observed(),
            evidence.means().nullMean(),
            evidence.means().naiveMean().orElse(Double.NaN),
            evidence.means().medianZ(),
            evidence.means().explainedShare().orElse(Double.NaN),
            evidence.strictestNull(),
            evidence.byKind(),
            evidence.excluded()));
  }
}
