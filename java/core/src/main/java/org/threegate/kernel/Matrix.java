package org.threegate.kernel;

import java.util.Objects;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.spi.Structs;

/**
 * A row-major matrix in native memory ({@code tg_matrix}).
 *
 * <pre>{@code
 * Matrix first = Matrix.of(buffer, Dtype.F32, 4, 8);
 * Matrix second = first.at(4 * 8 * Float.BYTES);
 * }</pre>
 *
 * @param buffer the memory
 * @param offset position of the first element in the buffer, in bytes; any alignment is valid
 * @param dtype type of the elements
 * @param rows number of rows
 * @param columns number of columns
 * @param rowStride distance between the starts of two rows, in elements; at least {@code columns}
 */
public record Matrix(
    NativeBuffer buffer, long offset, Dtype dtype, long rows, long columns, long rowStride) {
  /**
   * Checks that all elements lie in the buffer.
   *
   * @throws IllegalArgumentException if there is no such matrix
   * @throws IndexOutOfBoundsException if an element lies outside of the buffer
   */
  public Matrix {
    Objects.requireNonNull(dtype);
    if (rows < 0 || columns < 0 || rowStride < columns) {
      throw new IllegalArgumentException(
          "no matrix of " + rows + " x " + columns + " with row stride " + rowStride);
    }
    long elements =
        rows == 0 || columns == 0 ? 0 : Sizes.sum(Sizes.product(rows - 1, rowStride), columns);
    Objects.checkFromIndexSize(offset, Sizes.product(elements, dtype.bytes()), buffer.bytes());
  }

  /**
   * {@return a contiguous matrix at the start of a buffer}
   *
   * @param buffer the memory
   * @param dtype dtype of the elements
   * @param rows number of rows
   * @param columns number of columns
   */
  public static Matrix of(NativeBuffer buffer, Dtype dtype, long rows, long columns) {
    return new Matrix(buffer, 0, dtype, rows, columns, columns);
  }

  /**
   * {@return a matrix of the same shape elsewhere in the buffer}
   *
   * @param position position of its first element, in bytes
   */
  public Matrix at(long position) {
    return new Matrix(buffer, position, dtype, rows, columns, rowStride);
  }

  /**
   * {@return the first {@code count} rows, in the same memory}
   *
   * @param count number of rows to keep
   */
  public Matrix firstRows(long count) {
    return new Matrix(
        buffer, offset, dtype, Objects.checkIndex(count, rows + 1), columns, rowStride);
  }

  boolean hasGaps() {
    return rows > 1 && rowStride != columns;
  }

  void write(NativeBuffer struct, long at, long bufferAddress) {
    struct
        .putLong(at + Structs.MATRIX_DATA, bufferAddress + offset)
        .putLong(at + Structs.MATRIX_ROWS, rows)
        .putLong(at + Structs.MATRIX_COLUMNS, columns)
        .putLong(at + Structs.MATRIX_ROW_STRIDE, rowStride)
        .putInt(at + Structs.MATRIX_DTYPE, dtype.code())
        .putInt(at + Structs.MATRIX_RESERVED, 0);
  }
}
