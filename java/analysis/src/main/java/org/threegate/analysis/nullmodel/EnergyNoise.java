package org.threegate.analysis.nullmodel;

import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.apache.commons.statistics.distribution.NormalDistribution;
import org.threegate.analysis.statistics.Energy;
import org.threegate.kernel.Matrix;

/**
 * Corrects the variance of the energy of a random update in the leading directions for entries that
 * are not normal. The quadratic form Σ P(b, b') x(b) x(b') of independent entries has the variance
 * of the normal case plus Σ P(b, b)² κ4(b). Here κ4 are the fourth cumulants of the entries, which
 * are large for sparse updates. P(b, b) are the leverages of rows or columns.
 */
final class EnergyNoise {
  private final double[] ofRows;
  private final double[] ofColumns;
  private final double[][] rowLeverages;
  private final double[][] columnLeverages;

  /**
   * Creates the correction.
   *
   * @param ofRows sum of fourth cumulants over each row
   * @param ofColumns sum of fourth cumulants over each column
   * @param left leading singular vectors of W0, at least as many as the largest rank
   */
  EnergyNoise(double[] ofRows, double[] ofColumns, Matrix left, Matrix right, List<Integer> ranks) {
    this.ofRows = ofRows;
    this.ofColumns = ofColumns;
    this.rowLeverages = leverages(left, ranks);
    this.columnLeverages = leverages(right, ranks);
  }

  private static double[][] leverages(Matrix vectors, List<Integer> ranks) {
    int length = Math.toIntExact(vectors.columns());
    double[][] leverages = new double[ranks.size()][length];
    for (int index = 0; index < ranks.size(); index++) {
      double[] sums = leverages[index];
      for (int i = 0; i < ranks.get(index); i++) {
        double[] row =
            vectors.buffer().getDoubles(vectors.offset() + 8L * i * vectors.rowStride(), length);
        for (int j = 0; j < length; j++) {
          sums[j] += row[j] * row[j];
        }
      }
    }
    return leverages;
  }

  /**
   * Adds the correction to the energy of one draw.
   *
   * @param index index of the rank
   */
  Energy add(Energy energy, int index, SplittableRandom random) {
    double[] left = rowLeverages[index];
    double[] right = columnLeverages[index];
    double total = Arrays.stream(ofRows).sum();
    // Use shares of the total, because the total varies together with its parts.
    double ofLeft = variance(ofRows, left, energy.leftEnergy());
    double ofRight = variance(ofColumns, right, energy.rightEnergy());
    double both = energy.bothShare();
    double product = moment(ofRows, left, 1) * moment(ofColumns, right, 1) / total;
    double squares = moment(ofRows, left, 2) * moment(ofColumns, right, 2) / total;
    double ofBoth = squares - 2 * both * product + both * both * total;
    return new Energy(
        energy.total(),
        within(energy.left() + normal(ofLeft, random), energy),
        within(energy.right() + normal(ofRight, random), energy),
        within(energy.both() + normal(ofBoth, random), energy));
  }

  private static double variance(double[] cumulants, double[] leverages, double share) {
    double sum = 0;
    for (int i = 0; i < cumulants.length; i++) {
      sum += cumulants[i] * (leverages[i] - share) * (leverages[i] - share);
    }
    return sum;
  }

  private static double moment(double[] cumulants, double[] leverages, int power) {
    double sum = 0;
    for (int i = 0; i < cumulants.length; i++) {
      sum += cumulants[i] * (power == 1 ? leverages[i] : leverages[i] * leverages[i]);
    }
    return sum;
  }

  /**
   * Draws a normal number. Negative variances (tails lighter than normal) are small and count as
   * zero, because adding noise cannot reduce variance.
   */
  private static double normal(double variance, SplittableRandom random) {
    double number =
        NormalDistribution.of(0, 1)
            .inverseCumulativeProbability(random.nextDouble(Double.MIN_NORMAL, 1));
    return variance > 0 && variance < Double.POSITIVE_INFINITY ? number * Math.sqrt(variance) : 0;
  }

  private static double within(double part, Energy energy) {
    return Math.max(0, Math.min(part, energy.total()));
  }
}
