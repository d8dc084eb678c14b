package org.threegate.kernel;

import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/**
 * What rescalings leave of an update ({@code tg_residual}): tuned − base − (common + rows[i] +
 * columns[j]) · base. Entries that are not finite on both sides count as 0.
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64).at(8192));
 * Residual update = Residual.of(before, after);
 * Residual rest = Residual.after(before, after, Rescaling.fit(context, before, after).factors());
 * }</pre>
 *
 * @param base weights before the update
 * @param tuned weights after the update, of the same shape
 * @param factors factors of the rescalings
 */
public record Residual(Operand base, Operand tuned, Rescaling.Factors factors) {
  /**
   * Checks the shapes.
   *
   * @throws IllegalArgumentException if the shapes differ, or there are factors but not one for
   *     each row and column
   */
  public Residual {
    if (base.rows() != tuned.rows() || base.columns() != tuned.columns()) {
      throw new IllegalArgumentException(
          tuned.rows()
              + " x "
              + tuned.columns()
              + " tuned entries; the base has "
              + base.rows()
              + " x "
              + base.columns());
    }
    int rows = factors.rowCount();
    int columns = factors.columnCount();
    if (rows + columns > 0 && (rows != base.rows() || columns != base.columns())) {
      throw new IllegalArgumentException(
          rows
              + " factors of rows and "
              + columns
              + " of columns; the matrix has "
              + base.rows()
              + " x "
              + base.columns());
    }
  }

  /**
   * {@return the update itself}
   *
   * @param base weights before the update
   * @param tuned weights after the update
   */
  public static Residual of(Operand base, Operand tuned) {
    return after(base, tuned, Rescaling.Factors.NONE);
  }

  /**
   * {@return what these rescalings leave}
   *
   * @param base weights before the update
   * @param tuned weights after the update
   * @param factors factors of the rescalings
   */
  public static Residual after(Operand base, Operand tuned, Rescaling.Factors factors) {
    return new Residual(base, tuned, factors);
  }

  /** Bytes of the struct, with the structs and factors to which it points. */
  long structBytes() {
    return factorsAt() + 8L * (factors.rowCount() + factors.columnCount());
  }

  private long tunedAt() {
    return Structs.RESIDUAL_SIZEOF + base.structBytes();
  }

  private long factorsAt() {
    return tunedAt() + tuned.structBytes();
  }

  /** Writes the struct at the start of a buffer, and takes leases. */
  void write(NativeBuffer structs, long address, Operand.Leases leases) {
    base.write(structs, address, Structs.RESIDUAL_SIZEOF, leases);
    tuned.write(structs, address, tunedAt(), leases);
    long rowsAt = factorsAt();
    long columnsAt = rowsAt + 8L * factors.rowCount();
    structs
        .putDoubles(rowsAt, factors.rows())
        .putDoubles(columnsAt, factors.columns())
        .putLong(Structs.RESIDUAL_SIZE, Structs.RESIDUAL_SIZEOF)
        .putLong(Structs.RESIDUAL_BASE, address + Structs.RESIDUAL_SIZEOF)
        .putLong(Structs.RESIDUAL_TUNED, address + tunedAt())
        .putDouble(Structs.RESIDUAL_COMMON, factors.common())
        .putLong(Structs.RESIDUAL_ROW_FACTORS, factors.rowCount() == 0 ? 0 : address + rowsAt)
        .putLong(
            Structs.RESIDUAL_COLUMN_FACTORS, factors.columnCount() == 0 ? 0 : address + columnsAt);
  }
}
