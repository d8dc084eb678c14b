package org.threegate.checkpoint.weight;

import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.QuantizedRows;

/**
 * Contiguous codes of one byte: the value of a code, less the zero point of its block, times the
 * scale of its block, in float32.
 *
 * @param buffer memory of the codes
 * @param offset position of the first code, in bytes
 * @param columns codes of a row
 * @param table value of each of the 256 codes
 * @param grid scales
 * @param zeros zero points
 */
record ByteRows(
    NativeBuffer buffer,
    long offset,
    int columns,
    float[] table,
    ScaleGrid grid,
    Optional<ScaleGrid> zeros)
    implements RowDecoder {
  private static final int LEAST_COLUMNS = 16; // of a block; below, scales take most of the time

  /**
   * {@return the decoder of codes of one byte that have a scale for each block}
   *
   * @param codes codes of a float8 dtype
   * @param grid scales
   */
  static RowDecoder of(Matrix codes, ScaleGrid grid) {
    return new ByteRows(
        codes.buffer(),
        codes.offset(),
        Math.toIntExact(codes.columns()),
        ByteCodes.of(codes.dtype()),
        grid,
        Optional.empty());
  }

  @Override
  public void decode(long first, int count, float[] out) {
    byte[] codes = buffer.getBytes(offset + first * columns, (long) count * columns);
    for (int i = 0; i < count; i++) {
      for (int j = 0; j < columns; j++) {
        out[i * columns + j] = table[codes[i * columns + j] & 0xFF];
      }
      if (zeros.isPresent()) {
        ScaleGrid own = zeros.get();
        float[] zero = own.row(own.rowOf(first + i));
        for (int j = 0; j < columns; j++) {
          out[i * columns + j] -= zero[(int) (j / own.blockColumns())];
        }
      }
      float[] scale = grid.row(grid.rowOf(first + i));
      for (int j = 0; j < columns; j++) {
        out[i * columns + j] *= scale[(int) (j / grid.blockColumns())];
      }
    }
  }

  @Override
  public Optional<QuantizedRows> quantized(long first, long count) {
    boolean alike =
        zeros.isEmpty()
            || zeros.get().blockColumns() == grid.blockColumns()
                && zeros.get().columns() == grid.columns();
    if (!alike || grid.blockColumns() < Math.min(columns, LEAST_COLUMNS)) {
      return Optional.empty();
    }
    QuantizedRows.Builder builder =
        QuantizedRows.builder(buffer, offset + first * columns, QuantizedRows.Order.LOW_FIRST)
            .shape(count, columns)
            .stride(columns)
            .table(table)
            .scales(ofRows(grid, first, count), grid.columns())
            .groups(grid.columns(), grid.blockColumns());
    zeros.ifPresent(own -> builder.zeros(ofRows(own, first, count)));
    return Optional.of(builder.build());
  }

  /** Returns the numbers of a grid for each row. */
  private static float[] ofRows(ScaleGrid grid, long first, long count) {
    int width = Math.toIntExact(grid.columns());
    float[] all = new float[Math.toIntExact(count * width)];
    float[] row = {};
    long loaded = -1;
    for (int i = 0; i < count; i++) {
      long own = grid.rowOf(first + i);
      if (own != loaded) {
        row = grid.row(own);
        loaded = own;
      }
      System.arraycopy(row, 0, all, i * width, width);
    }
    return all;
  }
}
