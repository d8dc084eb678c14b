package org.threegate.checkpoint.adapter;

import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.weight.DoubleRows;

/** The formulas of methods whose update is not a product of two stored factors. */
final class Formulas {
  private static final int BLOCK_ROWS = 16;

  private Formulas() {}

  /**
   * A matrix of float64 numbers.
   *
   * @param rows number of rows
   * @param columns number of columns
   * @param values entries, row by row
   */
  record Dense(int rows, int columns, double[] values) {
    double at(int row, int column) {
      return values[row * columns + column];
    }

    Dense times(Dense other) {
      double[] product = new double[Math.multiplyExact(rows, other.columns)];
      for (int i = 0; i < rows; i++) {
        addRow(other, i, 1, product, i * other.columns);
      }
      return new Dense(rows, other.columns, product);
    }

    /** Returns the first rows and columns. */
    Dense part(int firstRows, int firstColumns) {
      double[] part = new double[firstRows * firstColumns];
      for (int i = 0; i < firstRows; i++) {
        System.arraycopy(values, i * columns, part, i * firstColumns, firstColumns);
      }
      return new Dense(firstRows, firstColumns, part);
    }

    /** Returns a copy whose rows are multiplied by factors. */
    Dense withRows(double[] factors) {
      double[] scaled = values.clone();
      for (int i = 0; i < scaled.length; i++) {
        scaled[i] *= factors[i / columns];
      }
      return new Dense(rows, columns, scaled);
    }

    Dense transposed() {
      double[] turned = new double[values.length];
      for (int i = 0; i < rows; i++) {
        for (int j = 0; j < columns; j++) {
          turned[j * rows + i] = values[i * columns + j];
        }
      }
      return new Dense(columns, rows, turned);
    }

    /** Adds a row of the product with another matrix, times a factor. */
    private void addRow(Dense other, int row, double factor, double[] out, int at) {
      for (int k = 0; k < columns; k++) {
        double value = factor * values[row * columns + k];
        for (int j = 0; j < other.columns; j++) {
          out[at + j] += value * other.values[k * other.columns + j];
        }
      }
    }
  }

  /** Returns rows whose rows or columns are multiplied by factors. */
  static DoubleRows scaled(DoubleRows rows, int columns, double[] factors, boolean ofColumns) {
    return (first, count, out) -> {
      rows.read(first, count, out);
      for (int i = 0; i < count; i++) {
        for (int j = 0; j < columns; j++) {
          out[i * columns + j] *= factors[ofColumns ? j : (int) (first + i)];
        }
      }
    };
  }

  /**
   * Returns rows whose rows or columns are scaled to lengths: DoRA's magnitude over direction.
   *
   * @param shape number of rows and of columns
   */
  static DoubleRows withLengths(DoubleRows rows, int[] shape, double[] lengths, boolean ofColumns) {
    double[] squares = new double[lengths.length];
    double[] block = new double[BLOCK_ROWS * shape[1]];
    for (int row = 0; row < shape[0]; row += BLOCK_ROWS) {
      int count = Math.min(BLOCK_ROWS, shape[0] - row);
      rows.read(row, count, block);
      for (int i = 0; i < count; i++) {
        for (int j = 0; j < shape[1]; j++) {
          double entry = block[i * shape[1] + j];
          squares[ofColumns ? j : row + i] += entry * entry;
        }
      }
    }
    double[] factors = new double[lengths.length];
    for (int i = 0; i < factors.length; i++) {
      factors[i] = lengths[i] / Math.sqrt(squares[i]);
    }
    return scaled(rows, shape[1], factors, ofColumns);
  }

  /** Returns rows of which some are replaced. */
  static DoubleRows replaced(DoubleRows rows, Dense values, Map<Long, Integer> byRow) {
    int columns = values.columns();
    return (first, count, out) -> {
      rows.read(first, count, out);
      for (int i = 0; i < count; i++) {
        Integer own = byRow.get(first + i);
        if (own != null) {
          System.arraycopy(values.values(), own * columns, out, i * columns, columns);
        }
      }
    };
  }

  /** Returns rows plus a product of factors, or plus its transpose. */
  static DoubleRows plusProduct(DoubleRows rows, Dense left, Dense right) {
    return (first, count, out) -> {
      rows.read(first, count, out);
      for (int i = 0; i < count; i++) {
        left.addRow(right, (int) first + i, 1, out, i * right.columns());
      }
    };
  }

  /** Returns rows whose blocks of columns are rotated (OFT). A single rotation is that of all. */
  static DoubleRows rotated(DoubleRows rows, int columns, List<Dense> rotations) {
    int size = rotations.get(0).rows();
    return (first, count, out) -> {
      double[] block = new double[size];
      rows.read(first, count, out);
      for (int at = 0; at < count * columns; at += size) {
        Dense rotation = rotations.get(at % columns / size % rotations.size());
        System.arraycopy(out, at, block, 0, size);
        for (int i = 0; i < size; i++) {
          double sum = 0;
          for (int j = 0; j < size; j++) {
            sum += rotation.at(i, j) * block[j];
          }
          out[at + i] = sum;
        }
      }
    };
  }

  /**
   * Returns the rotation of a skew-symmetric matrix by PEFT's truncated series: 1 + 2Q + 2Q² + … +
   * Qⁿ.
   *
   * @param upper entries of Q above the diagonal, row by row
   * @param size rows of Q
   */
  static Dense rotation(double[] upper, int size, int terms) {
    double[] skew = new double[size * size];
    int next = 0;
    for (int i = 0; i < size; i++) {
      for (int j = i + 1; j < size; j++) {
        skew[i * size + j] = upper[next];
        skew[j * size + i] = -upper[next++];
      }
    }
    double[] sum = new double[size * size];
    for (int i = 0; i < size; i++) {
      sum[i * size + i] = 1;
    }
    Dense q = new Dense(size, size, skew);
    Dense power = q;
    // PEFT adds 2Q if there is more than one term. From three terms on, it doubles the powers below
    // the last one, which is at least the third.
    int last = terms > 2 ? Math.max(3, terms - 1) : terms - 1;
    for (int exponent = 1; exponent <= last; exponent++) {
      double factor = exponent > 1 && exponent == last ? 1 : 2;
      for (int i = 0; i < sum.length; i++) {
        sum[i] += factor * power.values()[i];
      }
      power = power.times(q);
    }
    return new Dense(size, size, sum);
  }

  /** Returns rows plus the entrywise product of two products (LoHa). */
  static DoubleRows plusHadamard(DoubleRows rows, Dense[] one, Dense[] other, double scale) {
    int columns = one[1].columns();
    return (first, count, out) -> {
      rows.read(first, count, out);
      for (int i = 0; i < count; i++) {
        double[] a = new double[columns];
        double[] b = new double[columns];
        one[0].addRow(one[1], (int) first + i, scale, a, 0);
        other[0].addRow(other[1], (int) first + i, 1, b, 0);
        for (int j = 0; j < columns; j++) {
          out[i * columns + j] += a[j] * b[j];
        }
      }
    };
  }

  /** Returns rows plus a Kronecker product (LoKr). */
  static DoubleRows plusKronecker(DoubleRows rows, Dense one, Dense other, double scale) {
    int columns = one.columns() * other.columns();
    return (first, count, out) -> {
      rows.read(first, count, out);
      for (int i = 0; i < count; i++) {
        int row = (int) first + i;
        for (int j = 0; j < columns; j++) {
          out[i * columns + j] +=
              scale
                  * one.at(row / other.rows(), j / other.columns())
                  * other.at(row % other.rows(), j % other.columns());
        }
      }
    };
  }
}
