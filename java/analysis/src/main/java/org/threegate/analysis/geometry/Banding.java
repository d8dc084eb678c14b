package org.threegate.analysis.geometry;

import java.util.List;
import org.threegate.analysis.statistics.Dispersion;
import org.threegate.analysis.statistics.MagnitudeBins;
import org.threegate.kernel.Context;
import org.threegate.kernel.MagnitudeHistogram;
import org.threegate.kernel.MagnitudeOverlaps;
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
    MagnitudeOverlaps.Result counts = MagnitudeOverlaps.of(context, base, List.of(update));
    int[] codes = counts.codes();
    double[] chances =
        MagnitudeBins.of(codes, counts.all(), MagnitudeHistogram.CODES)
            .shares(codes, counts.all(), counts.common(0, 0));
    double[] spreads = new double[chances.length];
    for (int i = 0; i < chances.length; i++) {
      spreads[i] = chances[i] * (1 - chances[i]);
    }
    List<MagnitudeHistogram.Profile> profiles =
        MagnitudeHistogram.profiles(context, base, codes, List.of(chances, spreads));
    MagnitudeHistogram.Profile expected = profiles.get(0);
    MagnitudeHistogram.Profile variances = profiles.get(1);
    return new Banding(
        Dispersion.z(update.rowCounts(), expected.rows(), variances.rows()),
        Dispersion.z(update.columnCounts(), expected.columns(), variances.columns()));
  }

  Banding transposed() {
    return new Banding(columnZ, rowZ);
  }
}
