package org.threegate.checkpoint.weight;

import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Ranges;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/** Copies some rows and columns of an operand into memory of their own. */
final class Selection {
  private static final int COPIED_BYTES = 1 << 24; // at a time
  private static final int SHORT_BYTES = 64; // shorter ranges are gathered

  private final Context context;
  private final List<NativeBuffer> buffers = new ArrayList<>();
  private final Operand operand;

  private Selection(Context context, Operand whole, Ranges rows, Ranges columns) {
    this.context = context;
    try {
      this.operand = copy(whole, rows, columns);
    } catch (RuntimeException e) {
      buffers.forEach(NativeBuffer::close);
      throw e;
    }
  }

  /**
   * Copies a part of an operand.
   *
   * @param context context that allocates memory
   * @param operand the whole
   * @param rows rows that are kept
   * @param columns columns that are kept
   * @return the part
   */
  static Selection of(Context context, Operand operand, Ranges rows, Ranges columns) {
    return new Selection(context, operand, rows, columns);
  }

  /** Returns the part. */
  Operand operand() {
    return operand;
  }

  /** Returns the memory of the part, which the caller closes. */
  List<NativeBuffer> buffers() {
    return List.copyOf(buffers);
  }

  private Operand copy(Operand whole, Ranges rows, Ranges columns) {
    Matrix values = copy(whole.values(), rows, columns);
    Optional<Operand.BlockScale> scale = whole.blockScale().map(own -> scale(own, rows, columns));
    List<Operand.LowRank> terms = new ArrayList<>();
    for (Operand.LowRank term : whole.lowRank()) {
      terms.add(
          new Operand.LowRank(
              copy(term.left(), rows, all(term.left().columns())),
              copy(term.right(), all(term.right().rows()), columns),
              term.scale()));
    }
    return new Operand(values, scale, terms);
  }

  private static Ranges all(long size) {
    return Ranges.of(0, size);
  }

  private NativeBuffer allocate(long rows, long columns, int bytes) {
    long size = Math.multiplyExact(Math.multiplyExact(rows, columns), (long) bytes);
    NativeBuffer buffer = context.allocate(size);
    buffers.add(buffer);
    return buffer;
  }

  private Matrix copy(Matrix from, Ranges rows, Ranges columns) {
    int bytes = from.dtype().bytes();
    NativeBuffer buffer = allocate(rows.size(), columns.size(), bytes);
    Matrix to = Matrix.of(buffer, from.dtype(), rows.size(), columns.size());
    boolean whole = columns.isAll(from.columns()) && from.rowStride() == from.columns();
    try (NativeBuffer.Lease in = from.buffer().lease();
        NativeBuffer.Lease out = buffer.leaseForOutput()) {
      long at = 0;
      // Rows of all columns are copied range by range.
      long step = whole ? rows.length() : 1;
      for (long row = 0; row < rows.size(); row += step) {
        long start = from.offset() + rows.at(row) * from.rowStride() * bytes;
        Ranges kept = whole ? all(step * from.columns()) : columns;
        at = copy(in, start, kept, bytes, out, at);
      }
    }
    return to;
  }

  /** Copies entries of a row, and returns the position after them. */
  private static long copy(
      NativeBuffer.Lease in, long start, Ranges kept, int bytes, NativeBuffer.Lease out, long to) {
    long at = to;
    if (kept.length() * bytes >= SHORT_BYTES || kept.gapless()) {
      long ranges = kept.gapless() ? 1 : kept.count();
      long length = kept.gapless() ? kept.size() * bytes : kept.length() * bytes;
      for (long i = 0; i < ranges; i++) {
        long from = start + (kept.begin() + i * kept.step()) * bytes;
        for (long done = 0; done < length; done += COPIED_BYTES) {
          int count = (int) Math.min(COPIED_BYTES, length - done);
          out.view(at + done, count).put(in.view(from + done, count));
        }
        at += length;
      }
      return at;
    }
    int length = (int) kept.length() * bytes;
    long step = kept.step() * bytes;
    int most = (int) Math.max(1, COPIED_BYTES / step);
    for (long first = 0; first < kept.count(); first += most) {
      int count = (int) Math.min(most, kept.count() - first);
      long from = start + kept.begin() * bytes + first * step;
      int spanned = Math.toIntExact((count - 1) * step + length);
      gather(in.view(from, spanned), (int) step, out.view(at, count * length), length);
      at += (long) count * length;
    }
    return at;
  }

  private static void gather(ByteBuffer in, int step, ByteBuffer out, int length) {
    int from = 0;
    if (length == Short.BYTES) {
      for (int to = 0; to < out.capacity(); to += length, from += step) {
        out.putShort(to, in.getShort(from));
      }
      return;
    }
    for (int to = 0; to < out.capacity(); to += length, from += step) {
      for (int i = 0; i < length; i++) {
        out.put(to + i, in.get(from + i));
      }
    }
  }

  /** Returns a scale for each row, and for each column if some are left out. */
  private Operand.BlockScale scale(Operand.BlockScale whole, Ranges rows, Ranges columns) {
    Matrix scales = whole.scales();
    long groups = scales.columns();
    long across = columns.begin() == 0 && columns.gapless() ? whole.blockColumns() : 1;
    long width = (columns.size() + across - 1) / across;
    NativeBuffer buffer = allocate(rows.size(), width, Float.BYTES);
    for (long row = 0; row < rows.size(); row++) {
      long block = rows.at(row) / whole.blockRows();
      float[] own =
          scales
              .buffer()
              .getFloats(scales.offset() + block * scales.rowStride() * Float.BYTES, groups);
      float[] kept = new float[Math.toIntExact(width)];
      for (int j = 0; j < kept.length; j++) {
        kept[j] = own[(int) (columns.at(j * across) / whole.blockColumns())];
      }
      buffer.putFloats(row * width * Float.BYTES, kept);
    }
    return new Operand.BlockScale(Matrix.of(buffer, Dtype.F32, rows.size(), width), 1, across);
  }
}
