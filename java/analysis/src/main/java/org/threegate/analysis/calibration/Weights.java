package org.threegate.analysis.calibration;

import java.util.SplittableRandom;

/**
 * The entries of a matrix, row-major, as float64.
 *
 * @param rows number of rows
 * @param columns number of columns
 * @param entries entries, rows x columns
 */
record Weights(int rows, int columns, double[] entries) {
  /** A function of the place of an entry. */
  interface Entry {
    double at(int row, int column);
  }

  static Weights of(int rows, int columns, Entry entry) {
    double[] entries = new double[Math.multiplyExact(rows, columns)];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        entries[i * columns + j] = entry.at(i, j);
      }
    }
    return new Weights(rows, columns, entries);
  }

  double at(int row, int column) {
    return entries[row * columns + column];
  }

  /** Returns a matrix of the same shape. */
  Weights like(Entry entry) {
    return of(rows, columns, entry);
  }

  Weights plus(Weights other) {
    return like((i, j) -> at(i, j) + other.at(i, j));
  }

  Weights times(double factor) {
    return like((i, j) -> factor * at(i, j));
  }

  /** Returns the root of the mean square. */
  double rms() {
    double sum = 0;
    for (double entry : entries) {
      sum += entry * entry;
    }
    return Math.sqrt(sum / entries.length);
  }

  /** Returns the matrix scaled to a root of the mean square. */
  Weights scaledTo(double rms) {
    double own = rms();
    return own == 0 ? this : times(rms / own);
  }

  double[] rowRms() {
    double[] squares = new double[rows];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        squares[i] += at(i, j) * at(i, j) / columns;
      }
      squares[i] = Math.sqrt(squares[i]);
    }
    return squares;
  }

  double[] columnRms() {
    return transposed().rowRms();
  }

  private Weights transposed() {
    return of(columns, rows, (i, j) -> at(j, i));
  }

  /** Returns A Bᵀ of two matrices with as many columns. */
  static Weights product(double[][] left, double[][] right) {
    return of(
        left.length,
        right.length,
        (i, j) -> {
          double sum = 0;
          for (int k = 0; k < left[i].length; k++) {
            sum += left[i][k] * right[j][k];
          }
          return sum;
        });
  }

  static double[][] gaussian(int rows, int columns, SplittableRandom random) {
    double[][] values = new double[rows][columns];
    for (double[] row : values) {
      for (int j = 0; j < columns; j++) {
        row[j] = gaussian(random);
      }
    }
    return values;
  }

  /** Returns a standard normal number (Box and Muller). */
  static double gaussian(SplittableRandom random) {
    double radius = Math.sqrt(-2 * Math.log(1 - random.nextDouble()));
    return radius * Math.cos(2 * Math.PI * random.nextDouble());
  }
}
