package org.threegate.checkpoint.weight;

import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.TensorType;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/** Reads or computes rows of a matrix in float64. */
@FunctionalInterface
public interface DoubleRows {
  /**
   * Reads rows.
   *
   * @param first first row
   * @param count number of rows
   * @param out receives the rows, one after the other, from its start
   */
  void read(long first, int count, double[] out);

  /**
   * {@return the rows of an operand, whose scales and low-rank terms are applied}
   *
   * @param operand matrix as kernels read it; its memory must stay open
   */
  static DoubleRows of(Operand operand) {
    DoubleRows rows = stored(operand.values());
    if (operand.blockScale().isPresent()) {
      rows = scaled(rows, operand.values().columns(), operand.blockScale().get());
    }
    for (Operand.LowRank term : operand.lowRank()) {
      rows = plus(rows, term);
    }
    return rows;
  }

  /**
   * {@return all entries of a small matrix, row by row}
   *
   * @param matrix stored matrix of fewer than 2³¹ entries
   */
  static double[] all(Matrix matrix) {
    double[] values = new double[Math.toIntExact(matrix.rows() * matrix.columns())];
    stored(matrix).read(0, (int) matrix.rows(), values);
    return values;
  }

  private static DoubleRows stored(Matrix matrix) {
    int columns = Math.toIntExact(matrix.columns());
    long stride = matrix.rowStride() * matrix.dtype().bytes();
    TensorType type = TensorType.valueOf(matrix.dtype().name());
    NativeBuffer buffer = matrix.buffer();
    return (first, count, out) -> {
      for (int i = 0; i < count; i++) {
        long at = matrix.offset() + (first + i) * stride;
        if (matrix.dtype() == Dtype.F64) {
          System.arraycopy(buffer.getDoubles(at, columns), 0, out, i * columns, columns);
        } else {
          float[] values = ScaleGrid.Numbers.floats(buffer, at, type, columns);
          for (int j = 0; j < columns; j++) {
            out[i * columns + j] = values[j];
          }
        }
      }
    };
  }

  private static DoubleRows scaled(DoubleRows codes, long width, Operand.BlockScale scale) {
    int columns = Math.toIntExact(width);
    DoubleRows scales = stored(scale.scales());
    return (first, count, out) -> {
      codes.read(first, count, out);
      double[] own = new double[Math.toIntExact(scale.scales().columns())];
      for (int i = 0; i < count; i++) {
        scales.read((first + i) / scale.blockRows(), 1, own);
        for (int j = 0; j < columns; j++) {
          out[i * columns + j] *= own[(int) (j / scale.blockColumns())];
        }
      }
    };
  }

  private static DoubleRows plus(DoubleRows rows, Operand.LowRank term) {
    int columns = Math.toIntExact(term.right().columns());
    int rank = Math.toIntExact(term.left().columns());
    double[] right = all(term.right());
    DoubleRows left = stored(term.left());
    return (first, count, out) -> {
      rows.read(first, count, out);
      double[] factors = new double[count * rank];
      left.read(first, count, factors);
      for (int i = 0; i < count; i++) {
        for (int k = 0; k < rank; k++) {
          double factor = term.scale() * factors[i * rank + k];
          for (int j = 0; j < columns; j++) {
            out[i * columns + j] += factor * right[k * columns + j];
          }
        }
      }
    };
  }
}
