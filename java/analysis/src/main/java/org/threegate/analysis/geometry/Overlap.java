package org.threegate.analysis.geometry;

import org.threegate.analysis.statistics.MagnitudeMatched;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.kernel.Context;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Operand;

/**
 * What part of an update's entries lies in a mask, beside what its density and what magnitude alone
 * would give (arXiv 2511.08567, section 4.2; the magnitude-matched null is ours).
 *
 * @param size entries of the mask
 * @param density share of all entries: the overlap of an update at random places
 * @param changed entries of the update
 * @param overlap |mask ∩ update| / |update|; NaN without an update
 * @param magnitudeBaseline the overlap expected when only magnitude decides
 * @param magnitudeSd its standard deviation
 * @param magnitudeZ how far the observation lies above that, in standard deviations
 */
public record Overlap(
    long size,
    double density,
    long changed,
    double overlap,
    double magnitudeBaseline,
    double magnitudeSd,
    double magnitudeZ) {
  /**
   * @param base the matrix before the update, whose magnitudes count
   */
  public static Overlap of(Context context, Operand base, Mask update, Mask mask) {
    MagnitudeHistogram.Result counts = MagnitudeHistogram.of(context, base, update, mask);
    MagnitudeMatched matched =
        MagnitudeMatched.of(counts.all(), counts.first(), counts.second(), counts.both());
    long changed = update.count();
    long size = mask.count();
    return new Overlap(
        size,
        size / ((double) mask.rows() * mask.columns()),
        changed,
        matched.observed() / (double) changed,
        matched.expected() / changed,
        matched.sd() / changed,
        matched.z());
  }

  /** The overlap of an update at random places, in closed form (binomial). */
  public NullEstimate densityNull() {
    return NullEstimate.analytic("density", density, Math.sqrt(density * (1 - density) / changed));
  }

  /** The overlap when only magnitude decides, in closed form. */
  public NullEstimate magnitudeNull() {
    return NullEstimate.analytic("magnitude-matched", magnitudeBaseline, magnitudeSd);
  }
}
