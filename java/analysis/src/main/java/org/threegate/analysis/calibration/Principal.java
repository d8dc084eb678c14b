package org.threegate.analysis.calibration;

import java.util.Arrays;
import java.util.SplittableRandom;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Mask;
import org.threegate.kernel.MaskSelection;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TruncatedSvd;

/**
 * A matrix with its leading singular vectors and its principal half, for planting effects.
 *
 * @param weights entries of the matrix
 * @param left leading left singular vectors, k x rows
 * @param right leading right singular vectors, k x columns
 * @param mask principal entries
 */
record Principal(Weights weights, double[][] left, double[][] right, Mask mask) {
  static Principal of(Context context, Weights weights, Operand base, Control control) {
    int rank = GeometryOptions.DEFAULT.ranksOf(Math.min(base.rows(), base.columns())).get(0);
    TruncatedSvd.Request request =
        TruncatedSvd.Request.of(base, rank, GeometryOptions.DEFAULT.tolerance());
    long half = GeometryOptions.countOf(0.5, base.rows() * base.columns());
    try (TruncatedSvd.Result svd = TruncatedSvd.of(context, request)) {
      return new Principal(
          weights,
          vectors(svd.left().orElseThrow()),
          vectors(svd.right().orElseThrow()),
          MaskSelection.principal(context, svd, half, control));
    }
  }

  private static double[][] vectors(Matrix basis) {
    double[][] vectors = new double[Math.toIntExact(basis.rows())][];
    for (int k = 0; k < vectors.length; k++) {
      long at = basis.offset() + 8L * k * basis.rowStride();
      vectors[k] = basis.buffer().getDoubles(at, basis.columns());
    }
    return vectors;
  }

  /** Returns the same directions and entries for a matrix that differs by rounding. */
  Principal of(Weights rounded) {
    return new Principal(rounded, left, right, mask);
  }

  boolean isPrincipal(int row, int column) {
    return mask.contains(row, column);
  }

  /** Scales the energy of an update in the leading directions of both sides. */
  Weights withEnergy(Weights update, double factor) {
    double scale = Math.sqrt(factor) - 1;
    double[][] half = rowsTimes(left, update); // Uᵀ update, k x columns
    double[][] both = new double[left.length][right.length];
    for (int i = 0; i < left.length; i++) {
      for (int j = 0; j < right.length; j++) {
        both[i][j] = dot(half[i], right[j]);
      }
    }
    double[][] back = new double[left.length][update.columns()];
    for (int i = 0; i < left.length; i++) {
      for (int j = 0; j < right.length; j++) {
        add(back[i], both[i][j], right[j]);
      }
    }
    return update.plus(combined(left, back).times(scale));
  }

  /**
   * Returns the update that turns each leading left direction towards one outside of their span.
   */
  Weights rotation(double angle, SplittableRandom random) {
    int count = Math.min(left.length, weights.rows() - left.length);
    double[][] outside = new double[count][];
    for (int i = 0; i < count; i++) {
      double[] vector = Weights.gaussian(1, weights.rows(), random)[0];
      for (int pass = 0; pass < 2; pass++) {
        for (double[] own : left) {
          add(vector, -dot(vector, own), own);
        }
        for (int j = 0; j < i; j++) {
          add(vector, -dot(vector, outside[j]), outside[j]);
        }
      }
      double norm = Math.sqrt(dot(vector, vector));
      for (int k = 0; k < vector.length; k++) {
        vector[k] /= norm;
      }
      outside[i] = vector;
    }
    double[][] inner = Arrays.copyOf(left, count);
    double[][] ofInner = rowsTimes(inner, weights);
    double[][] ofOuter = rowsTimes(outside, weights);
    double cosine = Math.cos(angle) - 1;
    double sine = Math.sin(angle);
    double[][] toInner = new double[count][weights.columns()];
    double[][] toOuter = new double[count][weights.columns()];
    for (int i = 0; i < count; i++) {
      add(toInner[i], cosine, ofInner[i]);
      add(toInner[i], -sine, ofOuter[i]);
      add(toOuter[i], cosine, ofOuter[i]);
      add(toOuter[i], sine, ofInner[i]);
    }
    return combined(inner, toInner).plus(combined(outside, toOuter));
  }

  /** Returns the products of vectors with the matrix from the left. */
  private static double[][] rowsTimes(double[][] vectors, Weights matrix) {
    double[][] products = new double[vectors.length][matrix.columns()];
    for (int k = 0; k < vectors.length; k++) {
      for (int i = 0; i < matrix.rows(); i++) {
        double factor = vectors[k][i];
        for (int j = 0; j < matrix.columns(); j++) {
          products[k][j] += factor * matrix.at(i, j);
        }
      }
    }
    return products;
  }

  /** Returns the sum of the products of vectors with rows. */
  private static Weights combined(double[][] vectors, double[][] rows) {
    int columns = rows[0].length;
    double[] entries = new double[vectors[0].length * columns];
    for (int k = 0; k < vectors.length; k++) {
      for (int i = 0; i < vectors[k].length; i++) {
        for (int j = 0; j < columns; j++) {
          entries[i * columns + j] += vectors[k][i] * rows[k][j];
        }
      }
    }
    return new Weights(vectors[0].length, columns, entries);
  }

  private static double dot(double[] a, double[] b) {
    double sum = 0;
    for (int i = 0; i < a.length; i++) {
      sum += a[i] * b[i];
    }
    return sum;
  }

  private static void add(double[] a, double factor, double[] b) {
    for (int i = 0; i < a.length; i++) {
      a[i] += factor * b[i];
    }
  }
}
