package org.threegate.analysis.geometry;

import java.util.Arrays;
import org.threegate.checkpoint.weight.DoubleRows;
import org.threegate.kernel.Operand;

/**
 * Sums of hashes of the entries of each row and of each column, sorted. They do not depend on the
 * order of rows and columns.
 */
record Permutation(long[] rows, long[] columns) {
  /** {@return whether one matrix is the other one with rows or columns in another order} */
  static boolean leadsFrom(Operand base, Operand tuned) {
    Permutation before = of(base);
    Permutation after = of(tuned);
    return Arrays.equals(before.rows, after.rows) && Arrays.equals(before.columns, after.columns);
  }

  private static Permutation of(Operand matrix) {
    long[] rows = new long[Math.toIntExact(matrix.rows())];
    long[] columns = new long[Math.toIntExact(matrix.columns())];
    double[] row = new double[columns.length];
    DoubleRows entries = DoubleRows.of(matrix);
    for (int i = 0; i < rows.length; i++) {
      entries.read(i, 1, row);
      for (int j = 0; j < columns.length; j++) {
        long hash = hash(row[j]);
        rows[i] += hash;
        columns[j] += hash;
      }
    }
    Arrays.sort(rows);
    Arrays.sort(columns);
    return new Permutation(rows, columns);
  }

  /** Returns a hash that is the same for both zeros: the output function of SplitMix64. */
  private static long hash(double entry) {
    long bits = Double.doubleToRawLongBits(entry + 0.0) + 0x9e3779b97f4a7c15L;
    bits = (bits ^ bits >>> 30) * 0xbf58476d1ce4e5b9L;
    bits = (bits ^ bits >>> 27) * 0x94d049bb133111ebL;
    return bits ^ bits >>> 31;
  }
}
