package org.threegate.report;

import org.threegate.analysis.statistics.NullEstimate;

/** A null model's estimate of a measure, compared with the observed value. */
record EstimateJson(double mean, double sd, double z, double p) {
  static EstimateJson of(NullEstimate estimate, double observed) {
    return new EstimateJson(
        estimate.mean(), estimate.sd(), estimate.z(observed), estimate.pValue(observed));
  }
}
