package org.threegate.analysis.geometry;

import org.threegate.analysis.statistics.Dispersion;
import org.threegate.analysis.statistics.MagnitudeBins;
import org.threegate.kernel.Context;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Operand;

/**
 * Clustering of changes in rows or columns, relative to the counts expected from weight magnitudes.
 *
 * @param rowZ dispersion of the row counts, see {@link Dispersion}
 * @param columnZ dispersion of the column counts
 */
public record Banding(double rowZ, double columnZ) {
  static Banding of(Context context, Operand base, Mask update) {
    MagnitudeHistogram.Result counts = MagnitudeHistogram.of(context, base, update, update);
    double[] chances = MagnitudeBins.of(counts.all()).shares(counts.all(), counts.first());
    double[] spreads = new double[chances.length];
    for (int i = 0; i < chances.length; i++) {
      spreads[i] = chances[i] * (1 - chances[i]);
    }
    MagnitudeHistogram.Profile expected = MagnitudeHistogram.profile(context, base, chances);
    MagnitudeHistogram.Profile variances = MagnitudeHistogram.profile(context, base, spreads);
    return new Banding(
        Dispersion.z(update.rowCounts(), expected.rows(), variances.rows()),
        Dispersion.z(update.columnCounts(), expected.columns(), variances.columns()));
  }

  Banding transposed() {
    return new Banding(columnZ, rowZ);
  }
}
