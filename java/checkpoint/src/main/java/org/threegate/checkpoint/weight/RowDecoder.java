package org.threegate.checkpoint.weight;

import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Ranges;
import org.threegate.kernel.Matrix;

/** Computes rows of a matrix in float32. */
@FunctionalInterface
public interface RowDecoder {
  /**
   * Computes rows.
   *
   * @param first first row
   * @param count number of rows
   * @param out receives the rows, one after the other, from its start
   */
  void decode(long first, int count, float[] out);

  /**
   * {@return the decoder of the rows from one on}
   *
   * @param begin row that becomes row 0
   */
  default RowDecoder from(long begin) {
    return (first, count, out) -> decode(begin + first, count, out);
  }

  /**
   * {@return the decoder of some rows and columns}
   *
   * @param rows rows that are kept
   * @param columns columns that are kept
   * @param width number of columns of this decoder
   */
  default RowDecoder part(Ranges rows, Ranges columns, long width) {
    int all = Math.toIntExact(width);
    int kept = Math.toIntExact(columns.size());
    return (first, count, out) -> {
      int done = 0;
      while (done < count) {
        long index = first + done;
        int run = (int) Math.min(count - done, rows.length() - index % rows.length());
        float[] whole = new float[Math.multiplyExact(run, all)];
        decode(rows.at(index), run, whole);
        for (int i = 0; i < run; i++) {
          for (int j = 0; j < kept; j += columns.length()) {
            int length = (int) columns.length();
            int from = i * all + (int) columns.at(j);
            System.arraycopy(whole, from, out, (done + i) * kept + j, length);
          }
        }
        done += run;
      }
    };
  }

  /**
   * {@return the decoder of codes of one byte that have a scale for each block}
   *
   * @param codes codes of a float8 dtype
   * @param grid scales
   */
  static RowDecoder of(Matrix codes, ScaleGrid grid) {
    return scaledBytes(
        codes.buffer(), codes.offset(), codes.columns(), ByteCodes.of(codes.dtype()), grid);
  }

  /**
   * Returns the decoder of contiguous codes of one byte: the value of a code, times the scale of
   * its block, in float32.
   *
   * @param buffer memory of the codes
   * @param offset position of the first code, in bytes
   * @param columns codes of a row
   * @param table value of each of the 256 codes
   * @param grid scales
   * @return the decoder
   */
  static RowDecoder scaledBytes(
      NativeBuffer buffer, long offset, long columns, float[] table, ScaleGrid grid) {
    int width = Math.toIntExact(columns);
    return (first, count, out) -> {
      byte[] codes = buffer.getBytes(offset + first * columns, count * columns);
      for (int i = 0; i < count; i++) {
        float[] scales = grid.row(grid.rowOf(first + i));
        for (int j = 0; j < width; j++) {
          out[i * width + j] =
              table[codes[i * width + j] & 0xFF] * scales[(int) (j / grid.blockColumns())];
        }
      }
    };
  }
}
