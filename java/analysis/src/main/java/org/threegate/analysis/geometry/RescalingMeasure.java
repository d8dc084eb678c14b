package org.threegate.analysis.geometry;

import org.threegate.analysis.statistics.RescalingShare;
import org.threegate.kernel.Rescaling;

/**
 * How much of an update only rescales the base: ΔW = c·W0 + diag(a)·W0 + W0·diag(b) + R.
 *
 * @param factor c, the factor that all entries share; weight decay makes it negative
 * @param factorError standard error of c
 * @param common share of ‖ΔW‖² that c explains
 * @param rows share that the factors of rows explain
 * @param columns share that the factors of columns explain
 * @param rest share that is left: ‖R‖² / ‖ΔW‖²
 */
public record RescalingMeasure(
    double factor,
    double factorError,
    RescalingShare common,
    RescalingShare rows,
    RescalingShare columns,
    double rest) {
  /** Standard deviations from which a share counts. */
  private static final double LEAST_Z = 3;

  /** Share of the update from which it counts. Smaller ones do not change any measure. */
  private static final double LEAST_SHARE = 1e-3;

  static RescalingMeasure of(Rescaling.Result fit) {
    double whole = fit.squares().update();
    return new RescalingMeasure(
        fit.factors().common(),
        fit.commonError(),
        share(fit.terms().common(), whole),
        share(fit.terms().rows(), whole),
        share(fit.terms().columns(), whole),
        fit.squares().residual() / whole);
  }

  private static RescalingShare share(Rescaling.Term term, double whole) {
    return RescalingShare.of(term.squares(), term.noise(), term.deviation(), whole);
  }

  /** {@return whether one of the shares is larger than noise would make it} */
  public boolean isPresent() {
    return counts(common) || counts(rows) || counts(columns);
  }

  private static boolean counts(RescalingShare share) {
    return share.z() >= LEAST_Z && share.value() - share.noise() >= LEAST_SHARE;
  }

  RescalingMeasure transposed() {
    return new RescalingMeasure(factor, factorError, common, columns, rows, rest);
  }
}
