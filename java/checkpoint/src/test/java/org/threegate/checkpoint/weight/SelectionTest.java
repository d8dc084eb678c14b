package org.threegate.checkpoint.weight;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Ranges;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.testing.NativeLeaks;
import org.threegate.testing.Seeds;

/** Tests that a part of a matrix has the entries that the whole has in the same places. */
@ExtendWith(NativeLeaks.class)
class SelectionTest {
  private static final long ROWS = 12;
  private static final long COLUMNS = 18;

  /** Rows of a head after the other, single rows, one range, all; and columns likewise. */
  private static final List<Ranges> OF_ROWS =
      List.of(new Ranges(1, 2, 4, 3), new Ranges(0, 1, 2, 6), Ranges.of(3, 7), Ranges.of(0, ROWS));

  private static final List<Ranges> OF_COLUMNS =
      List.of(
          Ranges.of(0, COLUMNS),
          Ranges.of(0, 9),
          Ranges.of(5, 11),
          new Ranges(1, 1, 2, 9),
          new Ranges(2, 3, 6, 3));

  private final List<NativeBuffer> buffers = new ArrayList<>();

  private Matrix random(
      Context context, Random random, Dtype dtype, long rows, long columns, long stride) {
    NativeBuffer buffer = context.allocate(rows * stride * dtype.bytes() + 6);
    buffers.add(buffer);
    for (long i = 0; i < buffer.bytes(); i++) {
      // All exponents of floats of one and of two bytes are finite.
      buffer.putByte(i, (byte) (random.nextInt(0x60) + 8));
    }
    return new Matrix(buffer, 6, dtype, rows, columns, stride);
  }

  private Map<String, Values> wholes(Context context, Random random) {
    Matrix scales = random(context, random, Dtype.F32, 4, 4, 4);
    for (int i = 0; i < 16; i++) {
      scales.buffer().putFloat(scales.offset() + 4 * i, 0.5f + i);
    }
    Operand scaled =
        Operand.scaled(
            random(context, random, Dtype.F8_E4M3, ROWS, COLUMNS, COLUMNS),
            new Operand.BlockScale(scales, 3, 5));
    Values stored =
        new Values.Stored(Operand.of(random(context, random, Dtype.BF16, ROWS, COLUMNS, COLUMNS)));
    Operand.LowRank term =
        new Operand.LowRank(
            random(context, random, Dtype.BF16, ROWS, 2, 2),
            random(context, random, Dtype.BF16, 2, COLUMNS, COLUMNS),
            0.5);
    return Map.of(
        "stored", stored,
        "with gaps",
            new Values.Stored(
                Operand.of(random(context, random, Dtype.BF16, ROWS, COLUMNS, COLUMNS + 3))),
        "float32",
            new Values.Stored(
                Operand.of(random(context, random, Dtype.F32, ROWS, COLUMNS, COLUMNS))),
        "scaled", new Values.Stored(scaled),
        "low rank", new Values.Adapted(stored, List.of(term)),
        "computed",
            new Values.Computed(
                ROWS,
                COLUMNS,
                (first, count, out) -> {
                  for (int i = 0; i < count * COLUMNS; i++) {
                    out[i] = first * COLUMNS + i;
                  }
                }));
  }

  private static double[] entries(Values values, Context context) {
    try (Values.Opened opened = values.open(context)) {
      double[] all = new double[Math.toIntExact(values.rows() * values.columns())];
      DoubleRows.of(opened.operand()).read(0, (int) values.rows(), all);
      return all;
    }
  }

  @Test
  void aPartHasTheEntriesOfTheWhole() {
    Random random = Seeds.random("selection");
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      wholes(context, random)
          .forEach(
              (name, whole) -> {
                double[] all = entries(whole, context);
                for (Ranges rows : OF_ROWS) {
                  for (Ranges columns : OF_COLUMNS) {
                    // Only Values.Scaled cuts rows of scaled entries without a copy.
                    Values part =
                        name.equals("scaled")
                            ? new Values.Selected(whole, rows, columns)
                            : whole.part(rows, columns);
                    double[] own = entries(part, context);
                    for (int i = 0; i < own.length; i++) {
                      long row = rows.at(i / columns.size());
                      long column = columns.at(i % columns.size());
                      assertThat(own[i])
                          .as(name + " " + rows + columns + i)
                          .isEqualTo(all[(int) (row * COLUMNS + column)]);
                    }
                  }
                }
                Values some = whole.part(OF_ROWS.get(0), OF_COLUMNS.get(3));
                assertThat(entries(some.rows(1, 3), context))
                    .containsExactly(Arrays.copyOfRange(entries(some, context), 9, 27));
                assertThat(some.rows(2, 2).rows()).isZero();
                assertThatThrownBy(() -> whole.part(Ranges.of(0, ROWS + 1), OF_COLUMNS.get(0)))
                    .isInstanceOf(IndexOutOfBoundsException.class);
              });
    } finally {
      buffers.forEach(NativeBuffer::close);
    }
  }

  /** Kernels read bf16 faster than what is computed from it. */
  @Test
  void aPartKeepsTheDtype() {
    Random random = Seeds.random("selection");
    try (Context context = Context.open(Context.Device.CPU, 1)) {
      Values stored =
          new Values.Stored(
              Operand.of(random(context, random, Dtype.BF16, ROWS, COLUMNS, COLUMNS)));
      try (Values.Opened heads =
          stored.part(new Ranges(1, 2, 4, 3), Ranges.of(0, COLUMNS)).open(context)) {
        assertThat(heads.operand().isStoredAs(Dtype.BF16)).isTrue();
        assertThat(heads.computed()).hasSize(1);
      }
      try (Values.Opened rows = stored.part(Ranges.of(2, 5), Ranges.of(0, COLUMNS)).open(context)) {
        assertThat(rows.computed()).as("rows that follow each other are not copied").isEmpty();
      }
    } finally {
      buffers.forEach(NativeBuffer::close);
    }
  }
}
