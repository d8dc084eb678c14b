package org.threegate.analysis.geometry;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.threegate.analysis.statistics.Against;
import org.threegate.analysis.statistics.Effect;
import org.threegate.analysis.statistics.MagnitudeBins;
import org.threegate.analysis.statistics.MagnitudeMatched;
import org.threegate.analysis.statistics.NullEstimate;
import org.threegate.analysis.statistics.Ratio;
import org.threegate.kernel.ChangeModel;
import org.threegate.kernel.Context;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.MagnitudeOverlaps;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Operand;

/**
 * The share of changed entries in a mask, with the shares expected from the density of the mask and
 * from weight magnitudes (arXiv 2511.08567, section 4.2). The magnitude-matched null model is an
 * addition of this project.
 *
 * @param size number of entries of the mask
 * @param density share of all entries in the mask; the expected overlap of an update at random
 *     positions
 * @param changed number of changed entries
 * @param overlap |mask ∩ update| / |update|; NaN if no entry changed
 * @param magnitudeBaseline expected overlap under the magnitude-matched null
 * @param magnitudeSd standard deviation under that null
 * @param magnitudeZ z-score of the observation under that null
 * @param conditional the overlap under the model of rows, columns and magnitudes; empty if it was
 *     not fitted
 */
public record Overlap(
    long size,
    double density,
    long changed,
    double overlap,
    double magnitudeBaseline,
    double magnitudeSd,
    double magnitudeZ,
    Optional<Conditional> conditional) {
  /**
   * The overlap under the model of changes by row, column and magnitude: the changes are
   * independent, and their log odds are a sum of one number for the row, one for the column and one
   * for the magnitude (THEORY, section 6). The mask is tested as one more covariate.
   *
   * @param baseline expected overlap
   * @param score excess of the number of changed entries in the mask over its expectation
   * @param information variance of {@code score}
   * @param explained share of the mask that rows, columns and magnitudes determine, 0 to 1
   */
  public record Conditional(double baseline, double score, double information, double explained) {
    /** Share of a mask that has to be left, so that an overlap with it can mean anything. */
    private static final double LEAST_LEFT = 0.01;

    static Optional<Conditional> of(ChangeModel.Score score, long changed, double overlap) {
      // Entries without information are those whose change is certain under the model.
      double baseline = overlap - Ratio.of(score.score(), changed);
      return score.convergence().converged()
          ? Optional.of(
              new Conditional(baseline, score.score(), score.information(), score.explained()))
          : Optional.empty();
    }

    Conditional complement() {
      return new Conditional(1 - baseline, -score, information, explained);
    }

    Against against(long changed, double unconditional) {
      NullEstimate estimate =
          NullEstimate.analytic(
              "row-column-magnitude", baseline, Ratio.of(Math.sqrt(information), changed));
      return new Against(
          estimate,
          1 - explained < LEAST_LEFT
              ? new Effect(0, 1 / Math.sqrt(unconditional), Double.POSITIVE_INFINITY)
              : Effect.ofOverlap(score, 0, information));
    }
  }

  /** {@return this overlap with that under the model of rows, columns and magnitudes} */
  Overlap with(Optional<Conditional> known) {
    return new Overlap(
        size, density, changed, overlap, magnitudeBaseline, magnitudeSd, magnitudeZ, known);
  }

  /**
   * Computes the overlap of an update with a mask.
   *
   * @param context context that runs the kernels
   * @param base matrix before the update, which gives the magnitudes
   * @param update changed entries
   * @param mask mask of the same shape
   * @return the overlap and its null models
   */
  public static Overlap of(Context context, Operand base, Mask update, Mask mask) {
    MagnitudeOverlaps.Result counts = MagnitudeOverlaps.of(context, base, List.of(update, mask));
    int[] codes = counts.codes();
    MagnitudeBins bins = MagnitudeBins.of(codes, counts.all(), MagnitudeHistogram.CODES);
    MagnitudeMatched matched =
        MagnitudeMatched.ofBins(
            bins.sums(codes, counts.all()),
            bins.sums(codes, counts.common(0, 0)),
            bins.sums(codes, counts.common(1, 1)),
            Arrays.stream(counts.common(0, 1)).sum());
    long changed = update.count();
    long size = mask.count();
    return new Overlap(
        size,
        Ratio.of(size, (double) mask.rows() * mask.columns()),
        changed,
        Ratio.of(matched.observed(), changed),
        Ratio.of(matched.expected(), changed),
        Ratio.of(matched.sd(), changed),
        matched.z(),
        Optional.empty());
  }

  /** {@return the overlap of an update at random positions, in closed form (binomial)} */
  public NullEstimate densityNull() {
    return NullEstimate.analytic("density", density, Math.sqrt(density * (1 - density) / changed));
  }

  /** {@return the overlap under the magnitude-matched null, in closed form} */
  public NullEstimate magnitudeNull() {
    return NullEstimate.analytic("magnitude-matched", magnitudeBaseline, magnitudeSd);
  }

  /** {@return the overlap against an update at random positions, as an odds ratio} */
  public Against againstDensity() {
    return new Against(
        densityNull(), Effect.ofOverlap(overlap * changed, density * changed, variance()));
  }

  /** Returns the variance of the overlap at random positions: that of a hypergeometric count. */
  private double variance() {
    double entries = size / density;
    return size * (1 - density) * changed * (1 - changed / entries) / (entries - 1);
  }

  /** {@return the overlap against each of its null models, as odds ratios} */
  public List<Against> againstAll() {
    double matched = magnitudeSd * changed * magnitudeSd * changed;
    List<Against> all = new ArrayList<>();
    all.add(againstDensity());
    all.add(
        new Against(
            magnitudeNull(),
            Effect.ofOverlap(overlap * changed, magnitudeBaseline * changed, matched)
                .orExplained(matched, variance())));
    conditional.ifPresent(own -> all.add(own.against(changed, variance())));
    return List.copyOf(all);
  }
}
