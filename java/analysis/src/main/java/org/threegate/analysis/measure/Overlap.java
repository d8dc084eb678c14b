package org.threegate.analysis.measure;

import org.threegate.analysis.statistics.MagnitudeMatched;
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
 * @param overlap |mask ∩ update| / |update|; NaN without an update
 * @param magnitudeBaseline the overlap expected when only magnitude decides
 * @param magnitudeZ how far the observation lies above that, in standard deviations
 */
public record Overlap(
    long size, double density, double overlap, double magnitudeBaseline, double magnitudeZ) {
  /**
   * @param base the matrix before the update, whose magnitudes count
   */
  public static Overlap of(Context context, Operand base, Mask update, Mask mask) {
    MagnitudeHistogram.Result counts = MagnitudeHistogram.of(context, base, update, mask);
    MagnitudeMatched matched =
        MagnitudeMatched.of(counts.all(), counts.first(), counts.second(), counts.both());
    double changed = update.count();
    long size = mask.count();
    return new Overlap(
        size,
        size / ((double) mask.rows() * mask.columns()),
        matched.observed() / changed,
        matched.expected() / changed,
        matched.z());
  }
}
