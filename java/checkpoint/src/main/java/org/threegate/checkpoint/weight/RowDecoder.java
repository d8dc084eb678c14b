package org.threegate.checkpoint.weight;

import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Ranges;
import org.threegate.kernel.Context;
import org.threegate.kernel.QuantizedRows;

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
   * {@return rows as a kernel decodes them, which gives the same bits; empty for a layout that no
   * kernel knows}
   *
   * @param first first row
   * @param count number of rows
   */
  default Optional<QuantizedRows> quantized(long first, long count) {
    return Optional.empty();
  }

  /**
   * Computes rows into native memory.
   *
   * @param context context that runs the kernel
   * @param first first row
   * @param count number of rows
   * @param out memory that receives the rows, one after the other
   */
  default void decode(Context context, long first, int count, Target out) {
    Optional<QuantizedRows> codes = quantized(first, count);
    if (codes.isPresent()) {
      codes.get().decode(context, out.buffer(), out.position());
      return;
    }
    float[] values = new float[Math.toIntExact(count * out.columns())];
    decode(first, count, values);
    out.buffer().putFloats(out.position(), values);
  }

  /**
   * Where rows are written in native memory.
   *
   * @param buffer memory
   * @param position position of the first entry, in bytes
   * @param columns entries of a row
   */
  record Target(NativeBuffer buffer, long position, long columns) {}

  /**
   * {@return the decoder of the rows from one on}
   *
   * @param begin row that becomes row 0
   */
  default RowDecoder from(long begin) {
    return new From(this, begin);
  }

  /**
   * The rows of a decoder from one on.
   *
   * @param all decoder of all rows
   * @param begin row that becomes row 0
   */
  record From(RowDecoder all, long begin) implements RowDecoder {
    @Override
    public void decode(long first, int count, float[] out) {
      all.decode(begin + first, count, out);
    }

    @Override
    public void decode(Context context, long first, int count, Target out) {
      all.decode(context, begin + first, count, out);
    }

    @Override
    public Optional<QuantizedRows> quantized(long first, long count) {
      return all.quantized(begin + first, count);
    }
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
    int length = Math.toIntExact(columns.length());
    return (first, count, out) -> {
      int done = 0;
      while (done < count) {
        long index = first + done;
        int run = (int) Math.min(count - done, rows.length() - index % rows.length());
        float[] whole = new float[Math.multiplyExact(run, all)];
        decode(rows.at(index), run, whole);
        for (int i = 0; i < run; i++) {
          for (int j = 0; j < kept; j += length) {
            int from = i * all + (int) columns.at(j);
            System.arraycopy(whole, from, out, (done + i) * kept + j, length);
          }
        }
        done += run;
      }
    };
  }
}
