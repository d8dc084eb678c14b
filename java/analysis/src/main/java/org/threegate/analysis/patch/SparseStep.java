package org.threegate.analysis.patch;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.threegate.analysis.curvature.CurvatureOperator;
import org.threegate.analysis.curvature.Lanczos;
import org.threegate.run.Progress;

/** The nonzero entries of a step ΔW. The time of products is proportional to their number. */
final class SparseStep {
  private static final int STEPS = 8; // Lanczos steps between convergence checks
  private static final int MOST_STEPS = 64;
  private static final double ENOUGH = 5e-3; // relative to the value

  private final int rows;
  private final int columns;
  private int[] row = new int[1 << 10];
  private int[] column = new int[1 << 10];
  private double[] value = new double[1 << 10];
  private int count;

  SparseStep(int rows, int columns) {
    this.rows = rows;
    this.columns = columns;
  }

  void add(int ownRow, int ownColumn, double ownValue) {
    if (count == value.length) {
      row = Arrays.copyOf(row, 2 * count);
      column = Arrays.copyOf(column, 2 * count);
      value = Arrays.copyOf(value, 2 * count);
    }
    row[count] = ownRow;
    column[count] = ownColumn;
    value[count++] = ownValue;
  }

  int count() {
    return count;
  }

  /**
   * The largest singular value.
   *
   * @param value approximate singular value
   * @param error error bound: a singular value lies within this distance
   */
  record SpectralNorm(double value, double error) {}

  /**
   * Computes the largest singular value by the Lanczos method on ΔWᵀΔW or ΔWΔWᵀ, whichever is
   * smaller.
   *
   * @param seed seed of the first direction
   */
  SpectralNorm spectralNorm(long seed) {
    if (count == 0) {
      return new SpectralNorm(0, 0);
    }
    boolean tall = rows >= columns;
    int[] from = tall ? column : row;
    int[] to = tall ? row : column;
    CurvatureOperator square =
        new CurvatureOperator() {
          private final double[] between = new double[tall ? rows : columns];

          @Override
          public int dimension() {
            return tall ? columns : rows;
          }

          @Override
          public void apply(double[] vector, double[] product) {
            Arrays.fill(between, 0);
            for (int i = 0; i < count; i++) {
              between[to[i]] += value[i] * vector[from[i]];
            }
            Arrays.fill(product, 0);
            for (int i = 0; i < count; i++) {
              product[from[i]] += value[i] * between[to[i]];
            }
          }
        };
    Lanczos lanczos = Lanczos.start(square, seed);
    for (int steps = 0; ; steps += STEPS) {
      lanczos.extend(STEPS, Progress.NONE);
      Lanczos.Result found = lanczos.result(0);
      double largest = found.values()[0];
      if (found.residuals()[0] <= ENOUGH * largest || steps >= MOST_STEPS) {
        double norm = Math.sqrt(Math.max(0, largest));
        // The residual bounds the error of the square: |σ² − value| ≤ residual.
        return new SpectralNorm(norm, norm > 0 ? found.residuals()[0] / norm : 0);
      }
    }
  }

  /** Returns the same entries with random signs. */
  SparseStep withRandomSigns(long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    SparseStep other = new SparseStep(rows, columns);
    other.row = row;
    other.column = column;
    other.count = count;
    other.value = new double[count];
    for (int i = 0; i < count; i++) {
      other.value[i] = random.nextBoolean() ? value[i] : -value[i];
    }
    return other;
  }
}
