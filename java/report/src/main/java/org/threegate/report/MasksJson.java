package org.threegate.report;

import org.threegate.analysis.geometry.MaskMeasure;

/** Overlaps of the changed entries with the masks of one share and one rank. */
record MasksJson(
    double alpha,
    int rank,
    Overlap principal,
    Overlap principalComplement,
    Overlap low,
    Overlap principalNotLow,
    Overlap safe) {
  record Overlap(
      long size,
      double density,
      double overlap,
      double densityBaseline,
      double magnitudeBaseline,
      double magnitudeSd,
      double magnitudeZ,
      double conditionalBaseline,
      double conditionalZ) {
    static Overlap of(org.threegate.analysis.geometry.Overlap measured) {
      return new Overlap(
          measured.size(),
          measured.density(),
          measured.overlap(),
          measured.density(),
          measured.magnitudeBaseline(),
          measured.magnitudeSd(),
          measured.magnitudeZ(),
          measured
              .conditional()
              .map(org.threegate.analysis.geometry.Overlap.Conditional::baseline)
              .orElse(Double.NaN),
          measured
              .conditional()
              .map(own -> own.score() / Math.sqrt(own.information()))
              .orElse(Double.NaN));
    }
  }

  static MasksJson of(MaskMeasure measure) {
    return new MasksJson(
        measure.alpha(),
        measure.rank(),
        Overlap.of(measure.principal()),
        Overlap.of(measure.principalComplement()),
        Overlap.of(measure.low()),
        Overlap.of(measure.principalNotLow()),
        Overlap.of(measure.safe()));
  }
}
