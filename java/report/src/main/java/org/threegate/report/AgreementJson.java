package org.threegate.report;

import org.threegate.analysis.statistics.Agreement;

/** Agreement of changed entries, compared with independent and with magnitude-matched changes. */
record AgreementJson(
    double jaccard,
    double bernoulliJaccard,
    double magnitudeJaccard,
    double magnitudeSd,
    double magnitudeZ) {
  static AgreementJson of(Agreement agreement) {
    return new AgreementJson(
        agreement.jaccard(),
        agreement.bernoulliJaccard(),
        agreement.magnitudeJaccard(),
        agreement.magnitudeSd(),
        agreement.magnitudeZ());
  }
}
