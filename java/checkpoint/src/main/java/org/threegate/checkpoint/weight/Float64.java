package org.threegate.checkpoint.weight;

import java.util.Arrays;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;

/** Computed entries in native memory, in float64. */
final class Float64 {
  private static final long BLOCK_ENTRIES = 1 << 16;

  private Float64() {}

  /** Returns a matrix in memory of its own, which the caller frees. */
  static Matrix allocate(Context context, long rows, long columns) {
    long bytes = Math.multiplyExact(Math.multiplyExact(rows, columns), (long) Double.BYTES);
    NativeBuffer buffer = context.allocate(Math.max(1, bytes));
    return Matrix.of(buffer, Dtype.F64, rows, columns);
  }

  /**
   * Fills a matrix.
   *
   * @param begin row that becomes the first row of the matrix
   */
  static void fill(Matrix matrix, DoubleRows computed, long begin) {
    long rows = matrix.rows();
    long columns = matrix.columns();
    int block = (int) Math.max(1, Math.min(rows, BLOCK_ENTRIES / Math.max(1, columns)));
    double[] values = new double[Math.toIntExact(block * columns)];
    for (long row = 0; row < rows; row += block) {
      int count = (int) Math.min(block, rows - row);
      computed.read(begin + row, count, values);
      double[] filled =
          count == block ? values : Arrays.copyOf(values, Math.toIntExact(count * columns));
      matrix.buffer().putDoubles(matrix.offset() + row * columns * Double.BYTES, filled);
    }
  }
}
