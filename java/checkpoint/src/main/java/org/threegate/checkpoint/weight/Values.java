package org.threegate.checkpoint.weight;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.function.UnaryOperator;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Ranges;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorParts;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Entries;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.QuantizedRows;

/**
 * The entries of a matrix. Kernels read stored entries where they lie in a mapped file. Entries in
 * a layout that no kernel knows are computed when the matrix is opened, and are freed when it is
 * closed.
 *
 * <pre>{@code
 * try (Checkpoint checkpoint = Checkpoint.open(context, base)) {
 *   for (Weight weight : Weights.of(checkpoint).byName().values()) {
 *     try (Values.Opened opened = weight.entries().open(context)) {
 *       System.out.println(weight.name() + ": " + opened.operand().rows() + " rows");
 *     }
 *   }
 * }
 * }</pre>
 */
public sealed interface Values {
  /** {@return the number of rows} */
  long rows();

  /** {@return the number of columns} */
  long columns();

  /**
   * {@return the entries as kernels read them}
   *
   * @param context context that allocates memory for entries that are computed
   */
  Opened open(Context context);

  /**
   * {@return the entries for a comparison, which decodes quantized weights as it reads them}
   *
   * @param context context that runs the comparison
   * @param scratch memory for entries that have to be copied
   */
  default Compared openToCompare(Context context, Scratch scratch) {
    Opened opened = open(context);
    return new Compared(opened.operand(), opened::close);
  }

  /**
   * {@return some rows of the matrix}
   *
   * @param begin first row
   * @param end row after the last one
   */
  Values rows(long begin, long end);

  /**
   * {@return some rows and columns of the matrix, such as those of a part of a fused matrix} Rows
   * that follow each other are read where they lie. Others are copied when the part is opened.
   *
   * @param rows rows that are kept
   * @param columns columns that are kept
   * @throws IndexOutOfBoundsException if the matrix has no such rows or columns
   */
  default Values part(Ranges rows, Ranges columns) {
    Objects.checkFromToIndex(rows.begin(), rows.end(), rows());
    Objects.checkFromToIndex(columns.begin(), columns.end(), columns());
    if (columns.isAll(columns()) && rows.gapless()) {
      return rows(rows.begin(), rows.begin() + rows.size());
    }
    return this instanceof Computed computed
        ? new Computed(
            rows.size(), columns.size(), computed.decoder().part(rows, columns, columns()))
        : new Selected(this, rows, columns);
  }

  /**
   * Entries that kernels read as they are stored.
   *
   * @param operand stored values, perhaps with a float32 scale for each block
   */
  record Stored(Operand operand) implements Values {
    @Override
    public long rows() {
      return operand.rows();
    }

    @Override
    public long columns() {
      return operand.columns();
    }

    @Override
    public Opened open(Context context) {
      return new Opened(operand, List.of());
    }

    @Override
    public Values rows(long begin, long end) {
      return new Stored(operand.slice(begin, end, 0, columns()));
    }
  }

  /**
   * Codes with a scale for each block of them. Kernels read scales in float32. Scales of other
   * dtypes are small and are converted when the matrix is opened, without rounding.
   *
   * @param codes stored codes
   * @param grid scales
   */
  record Scaled(Matrix codes, ScaleGrid grid) implements Values {
    @Override
    public long rows() {
      return codes.rows();
    }

    @Override
    public long columns() {
      return codes.columns();
    }

    @Override
    public Opened open(Context context) {
      long blocks = rows() == 0 ? 0 : grid.rowOf(rows() - 1) + 1;
      NativeBuffer scales = context.allocate(Math.max(1, blocks * grid.columns() * 4));
      try {
        for (long row = 0; row < blocks; row++) {
          scales.putFloats(row * grid.columns() * 4, grid.row(row));
        }
        Matrix matrix = Matrix.of(scales, Dtype.F32, blocks, grid.columns());
        return new Opened(
            Operand.scaled(
                codes, new Operand.BlockScale(matrix, grid.blockRows(), grid.blockColumns())),
            List.of(scales));
      } catch (RuntimeException e) {
        scales.close();
        throw e;
      }
    }

    @Override
    public Values rows(long begin, long end) {
      Objects.checkFromToIndex(begin, end, rows());
      if (begin % grid.blockRows() == 0 && grid.period() >= rows()) {
        return new Scaled(
            Operand.of(codes).slice(begin, end, 0, columns()).values(), grid.from(begin));
      }
      return new Computed(end - begin, columns(), ByteRows.of(codes, grid).from(begin));
    }
  }

  /**
   * Entries that are computed in float32 when the matrix is opened.
   *
   * @param rows number of rows
   * @param columns number of columns
   * @param decoder computes rows
   */
  record Computed(long rows, long columns, RowDecoder decoder) implements Values {
    private static final long BLOCK_ENTRIES = 1 << 21;

    @Override
    public Compared openToCompare(Context context, Scratch scratch) {
      if (context.device() == Context.Device.CPU) {
        Optional<QuantizedRows> codes = decoder.quantized(0, rows);
        if (codes.isPresent()) {
          return new Compared(codes.get(), () -> {});
        }
      }
      return Values.super.openToCompare(context, scratch);
    }

    @Override
    public Opened open(Context context) {
      long bytes = Math.multiplyExact(Math.multiplyExact(rows, columns), 4L);
      NativeBuffer buffer = context.allocate(Math.max(1, bytes));
      try {
        int block = (int) Math.max(1, Math.min(rows, BLOCK_ENTRIES / Math.max(1, columns)));
        for (long row = 0; row < rows; row += block) {
          int count = (int) Math.min(block, rows - row);
          long position = row * columns * Float.BYTES;
          decoder.decode(context, row, count, new RowDecoder.Target(buffer, position, columns));
        }
        return new Opened(Operand.of(Matrix.of(buffer, Dtype.F32, rows, columns)), List.of(buffer));
      } catch (RuntimeException e) {
        buffer.close();
        throw e;
      }
    }

    @Override
    public Values rows(long begin, long end) {
      Objects.checkFromToIndex(begin, end, rows);
      return new Computed(end - begin, columns, decoder.from(begin));
    }
  }

  /**
   * Entries that lie in several places, or in another order. They are copied as they are stored
   * when the matrix is opened.
   *
   * @param rows number of rows
   * @param columns number of columns
   * @param whole the tensor and its pieces
   * @param first index of the first entry in the whole tensor
   */
  record Joined(long rows, long columns, TensorParts whole, long first) implements Values {
    @Override
    public Opened open(Context context) {
      Dtype dtype = whole.type().dtype().orElseThrow();
      NativeBuffer buffer = context.allocate(Math.max(1, rows * columns * dtype.bytes()));
      try {
        whole.read(context, first, rows * columns, buffer, 0);
        return new Opened(Operand.of(Matrix.of(buffer, dtype, rows, columns)), List.of(buffer));
      } catch (RuntimeException e) {
        buffer.close();
        throw e;
      }
    }

    @Override
    public Compared openToCompare(Context context, Scratch scratch) {
      Dtype dtype = whole.type().dtype().orElseThrow();
      NativeBuffer buffer = scratch.take(rows * columns * dtype.bytes());
      try {
        scratch.inBlocks(
            rows * columns,
            (own, begin, count) ->
                whole.read(own, first + begin, count, buffer, begin * dtype.bytes()));
        return new Compared(
            Operand.of(Matrix.of(buffer, dtype, rows, columns)), () -> scratch.give(buffer));
      } catch (RuntimeException e) {
        scratch.give(buffer);
        throw e;
      }
    }

    @Override
    public Values rows(long begin, long end) {
      Objects.checkFromToIndex(begin, end, rows);
      return new Joined(end - begin, columns, whole, first + begin * columns);
    }
  }

  /**
   * A matrix plus low-rank terms, as an adapter stores them.
   *
   * @param base matrix that the adapter changes
   * @param terms low-rank terms to add
   */
  record Adapted(Values base, List<Operand.LowRank> terms) implements Values {
    /** Copies the terms. */
    public Adapted {
      terms = List.copyOf(terms);
    }

    @Override
    public long rows() {
      return base.rows();
    }

    @Override
    public long columns() {
      return base.columns();
    }

    @Override
    public Opened open(Context context) {
      Opened opened = base.open(context);
      Operand operand = opened.operand();
      List<Operand.LowRank> all = new ArrayList<>(operand.lowRank());
      all.addAll(terms);
      return new Opened(
          new Operand(operand.values(), operand.blockScale(), all), opened.computed());
    }

    @Override
    public Values rows(long begin, long end) {
      List<Operand.LowRank> own =
          terms.stream()
              .map(
                  term ->
                      new Operand.LowRank(
                          Operand.of(term.left())
                              .slice(begin, end, 0, term.left().columns())
                              .values(),
                          term.right(),
                          term.scale()))
              .toList();
      return new Adapted(base.rows(begin, end), own);
    }
  }

  /**
   * Entries that are computed from other entries, in float64, when the matrix is opened.
   *
   * @param base entries that the formula starts from
   * @param formula computes rows from rows of the base
   * @param begin first row that is kept
   * @param end row after the last one that is kept
   */
  record Formed(Values base, UnaryOperator<DoubleRows> formula, long begin, long end)
      implements Values {
    /**
     * {@return all rows of a formula}
     *
     * @param base entries that the formula starts from
     * @param formula computes rows from rows of the base
     */
    public static Formed of(Values base, UnaryOperator<DoubleRows> formula) {
      return new Formed(base, formula, 0, base.rows());
    }

    @Override
    public long rows() {
      return end - begin;
    }

    @Override
    public long columns() {
      return base.columns();
    }

    @Override
    public Opened open(Context context) {
      Matrix matrix = Float64.allocate(context, rows(), columns());
      try (Opened opened = base.open(context)) {
        Float64.fill(matrix, formula.apply(DoubleRows.of(opened.operand())), begin);
        return new Opened(Operand.of(matrix), List.of(matrix.buffer()));
      } catch (RuntimeException e) {
        matrix.buffer().close();
        throw e;
      }
    }

    @Override
    public Values rows(long from, long to) {
      Objects.checkFromToIndex(from, to, rows());
      return new Formed(base, formula, begin + from, begin + to);
    }
  }

  /**
   * Matrices of the same number of columns, one below the other, such as those of experts. The rows
   * of one matrix are read as that matrix is. The whole is computed in float64.
   *
   * @param parts the matrices; at least one
   */
  record Stacked(List<Values> parts) implements Values {
    /** Copies the list. */
    public Stacked {
      parts = List.copyOf(parts);
    }

    @Override
    public long rows() {
      return parts.stream().mapToLong(Values::rows).sum();
    }

    @Override
    public long columns() {
      return parts.get(0).columns();
    }

    @Override
    public Opened open(Context context) {
      Matrix matrix = Float64.allocate(context, rows(), columns());
      try {
        long at = 0;
        for (Values part : parts) {
          Matrix own = Matrix.of(matrix.buffer(), matrix.dtype(), part.rows(), columns());
          try (Opened opened = part.open(context)) {
            Float64.fill(own.at(at * columns() * Double.BYTES), DoubleRows.of(opened.operand()), 0);
          }
          at += part.rows();
        }
        return new Opened(Operand.of(matrix), List.of(matrix.buffer()));
      } catch (RuntimeException e) {
        matrix.buffer().close();
        throw e;
      }
    }

    @Override
    public Values rows(long begin, long end) {
      Objects.checkFromToIndex(begin, end, rows());
      List<Values> own = new ArrayList<>();
      long first = 0;
      for (Values part : parts) {
        long from = Math.max(begin, first) - first;
        long to = Math.min(end, first + part.rows()) - first;
        if (from < to) {
          own.add(part.rows(from, to));
        }
        first += part.rows();
      }
      if (own.isEmpty()) {
        return parts.get(0).rows(0, 0);
      }
      return own.size() == 1 ? own.get(0) : new Stacked(own);
    }
  }

  /**
   * Some rows and columns of a matrix. Stored values are copied in their dtype when it is opened,
   * with their scales and the factors of low-rank terms, so that the entries stay the same.
   *
   * @param whole the matrix
   * @param kept rows that are kept
   * @param across columns that are kept
   */
  record Selected(Values whole, Ranges kept, Ranges across) implements Values {
    @Override
    public long rows() {
      return kept.size();
    }

    @Override
    public long columns() {
      return across.size();
    }

    @Override
    public Opened open(Context context) {
      try (Opened opened = whole.open(context)) {
        Selection part = Selection.of(context, opened.operand(), kept, across);
        return new Opened(part.operand(), part.buffers());
      }
    }

    @Override
    public Values rows(long begin, long end) {
      Objects.checkFromToIndex(begin, end, rows());
      return begin == end
          ? new Computed(0, columns(), (first, count, out) -> {})
          : new Selected(this, Ranges.of(begin, end), Ranges.of(0, columns()));
    }
  }

  /**
   * Entries that kernels can read, until it is closed.
   *
   * @param operand the entries
   * @param computed memory that {@link #close} frees
   */
  record Opened(Operand operand, List<NativeBuffer> computed) implements AutoCloseable {
    @Override
    public void close() {
      computed.forEach(NativeBuffer::close);
    }
  }

  /**
   * Entries that a comparison can read, until it is closed.
   *
   * @param entries the entries
   * @param release frees their memory, or gives it back
   */
  record Compared(Entries entries, Runnable release) implements AutoCloseable {
    @Override
    public void close() {
      release.run();
    }
  }

  /**
   * {@return the entries of a tensor that is a matrix, as they are stored}
   *
   * @param tensor tensor of a dtype that kernels support
   */
  static Values of(Tensor tensor) {
    return new Stored(Operand.of(tensor.matrix()));
  }
}
