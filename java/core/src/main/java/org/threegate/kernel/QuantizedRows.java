package org.threegate.kernel;

import java.util.Objects;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Constants;
import org.threegate.spi.Structs;

/**
 * Decodes rows of quantized weights to float32 ({@code tg_codes_decode}). An entry is the number
 * that its code stands for, less a zero point, times a scale. Scales and zero points belong to a
 * group of columns, and to one or more rows.
 *
 * <pre>{@code
 * float[] table = new float[16];
 * for (int code = 0; code < 16; code++) {
 *   table[code] = code - 8;
 * }
 * QuantizedRows codes =
 *     QuantizedRows.builder(buffer, 0, QuantizedRows.Order.LOW_FIRST)
 *         .stride(16)
 *         .table(table)
 *         .scales(new float[] {0.5f, 0.25f}, 1)
 *         .groups(1, 32)
 *         .build();
 * try (NativeBuffer rows = context.allocate(2 * 32 * Float.BYTES)) {
 *   codes.decode(context, 2, 32, rows, 0);
 *   System.out.println(rows.getFloat(0));
 * }
 * }</pre>
 */
public final class QuantizedRows {
  private static final int CODES_4 = 16;
  private static final int CODES_8 = 256;

  private final Builder given;

  private QuantizedRows(Builder given) {
    this.given = given;
  }

  /** The order of codes in memory. */
  public enum Order {
    /** A row of codes after the other. The first of two codes of a byte is in the low half. */
    LOW_FIRST(Constants.CODES_LOW_FIRST),
    /** A row of codes after the other. The first of two codes of a byte is in the high half. */
    HIGH_FIRST(Constants.CODES_HIGH_FIRST),
    /** A word has the codes of eight columns of a row. Words of rows lie side by side (GPTQ). */
    DOWN(Constants.CODES_DOWN),
    /** A word has the codes of eight rows of a column. Words of rows lie side by side. */
    ACROSS(Constants.CODES_ACROSS),
    /** As {@link #ACROSS}, in the order of rows of AWQ. */
    AWQ(Constants.CODES_AWQ);

    private final int code;

    Order(int code) {
      this.code = code;
    }
  }

  /** Collects where codes lie and what they stand for. */
  public static final class Builder {
    private final NativeBuffer codes;
    private final long offset;
    private final Order order;
    private long stride;
    private long firstRow;
    private float[] table = {};
    private float[] scales = {};
    private float[] zeros = {};
    private long scaleStride;
    private long scaleRows = 1;
    private long groups = 1;
    private long groupColumns = Long.MAX_VALUE;
    private int[] groupOf = {};

    private Builder(NativeBuffer codes, long offset, Order order) {
      this.codes = codes;
      this.offset = offset;
      this.order = order;
    }

    /**
     * Sets the distance between two rows of codes; for {@link Order#DOWN} between two rows of
     * words; for the orders across between two columns of words.
     *
     * @param bytes distance in bytes
     * @return this builder
     */
    public Builder stride(long bytes) {
      stride = bytes;
      return this;
    }

    /**
     * Sets the place of the first row in its word, for the orders across.
     *
     * @param row place of the row; 0 by default
     * @return this builder
     */
    public Builder firstRow(long row) {
      firstRow = row;
      return this;
    }

    /**
     * Sets the number of each code: 16 numbers for codes of four bits, or 256 for those of eight.
     *
     * @param numbers number of each code
     * @return this builder
     * @throws IllegalArgumentException if there are not 16 or 256 numbers
     */
    public Builder table(float[] numbers) {
      if (numbers.length != CODES_4 && numbers.length != CODES_8) {
        throw new IllegalArgumentException(numbers.length + " numbers; a table has 16 or 256");
      }
      table = numbers.clone();
      return this;
    }

    /**
     * Sets the scales. Codes in rows have a row of scales for each row, and the other orders have
     * one for each group of columns.
     *
     * @param values scales, row by row
     * @param rowStride scales of a row
     * @return this builder
     */
    public Builder scales(float[] values, long rowStride) {
      scales = values.clone();
      scaleStride = rowStride;
      return this;
    }

    /**
     * Sets what is subtracted before the product, in the layout of the scales.
     *
     * @param values zero points, as many as scales
     * @return this builder
     */
    public Builder zeros(float[] values) {
      zeros = values.clone();
      return this;
    }

    /**
     * Sets the rows that share a scale.
     *
     * @param rows number of rows; 1 by default
     * @return this builder
     */
    public Builder scaleRows(long rows) {
      scaleRows = rows;
      return this;
    }

    /**
     * Sets the groups of columns.
     *
     * @param count number of groups
     * @param columns columns of a group
     * @return this builder
     */
    public Builder groups(long count, long columns) {
      groups = count;
      groupColumns = columns;
      groupOf = new int[0];
      return this;
    }

    /**
     * Sets the group of each column.
     *
     * @param count number of groups
     * @param ofColumns group of each column
     * @return this builder
     */
    public Builder groups(long count, int[] ofColumns) {
      groups = count;
      groupOf = ofColumns.clone();
      return this;
    }

    /**
     * {@return the codes}
     *
     * @throws IllegalArgumentException if zero points are given that are not as many as scales
     */
    public QuantizedRows build() {
      if (zeros.length != 0 && zeros.length != scales.length) {
        throw new IllegalArgumentException(
            zeros.length + " zero points for " + scales.length + " scales");
      }
      return new QuantizedRows(this);
    }
  }

  /**
   * {@return a builder}
   *
   * @param codes memory of the codes
   * @param offset position of the byte or word with the first code
   * @param order order of the codes
   */
  public static Builder builder(NativeBuffer codes, long offset, Order order) {
    return new Builder(codes, offset, order);
  }

  /**
   * Decodes all rows.
   *
   * @param context context that runs the kernel
   * @param rows number of rows
   * @param columns number of columns
   * @param out receives the entries in float32, row by row
   * @param position position of the first entry in {@code out}, in bytes
   * @throws IndexOutOfBoundsException if scales, groups or {@code out} are too short
   * @throws KernelException INVALID_ARGUMENT if the codes do not lie in their memory
   */
  public void decode(Context context, long rows, long columns, NativeBuffer out, long position) {
    long entries = Sizes.product(rows, columns);
    Objects.checkFromIndexSize(position, Sizes.product(entries, Float.BYTES), out.bytes());
    requireScales(rows, columns);
    // The struct, and the arrays after it.
    long table = Structs.Codes.SIZEOF;
    long scales = table + bytes(given.table.length);
    long zeros = scales + bytes(given.scales.length);
    long groupOf = zeros + bytes(given.zeros.length);
    try (Context.Call call = context.begin();
        NativeBuffer block = context.allocate(groupOf + bytes(given.groupOf.length));
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.take(block);
      block
          .putFloats(table, given.table)
          .putFloats(scales, given.scales)
          .putFloats(zeros, given.zeros)
          .putInts(groupOf, given.groupOf)
          .putLong(Structs.Codes.SIZE, Structs.Codes.SIZEOF)
          .putLong(Structs.Codes.CODES, leases.take(given.codes) + given.offset)
          .putLong(Structs.Codes.CODE_BYTES, given.codes.bytes() - given.offset)
          .putLong(Structs.Codes.ROWS, rows)
          .putLong(Structs.Codes.COLUMNS, columns)
          .putLong(Structs.Codes.STRIDE, given.stride)
          .putInt(Structs.Codes.BITS, given.table.length == CODES_8 ? 8 : 4)
          .putInt(Structs.Codes.ORDER, given.order.code)
          .putLong(Structs.Codes.FIRST_ROW, given.firstRow)
          .putLong(Structs.Codes.TABLE, address + table)
          .putLong(Structs.Codes.SCALES, address + scales)
          .putLong(Structs.Codes.ZEROS, given.zeros.length == 0 ? 0 : address + zeros)
          .putLong(Structs.Codes.SCALE_STRIDE, given.scaleStride)
          .putLong(Structs.Codes.SCALE_ROWS, given.scaleRows)
          .putLong(Structs.Codes.GROUPS, given.groups)
          .putLong(Structs.Codes.GROUP_COLUMNS, given.groupColumns)
          .putLong(Structs.Codes.GROUP_OF, given.groupOf.length == 0 ? 0 : address + groupOf);
      long entriesAddress = leases.takeOutput(out) + position;
      call.run(unused -> context.binding().codesDecode(context.handle(), address, entriesAddress));
    }
  }

  private static long bytes(int elements) {
    return (long) Float.BYTES * elements;
  }

  /** Requires the scales and groups that the kernel reads. It does not know the lengths. */
  private void requireScales(long rows, long columns) {
    if (rows == 0 || columns == 0) {
      return;
    }
    long blocks = (given.firstRow + rows - 1) / given.scaleRows + 1;
    boolean inRows = given.order == Order.LOW_FIRST || given.order == Order.HIGH_FIRST;
    long lines = inRows ? blocks : given.groups;
    long line = inRows ? given.groups : blocks;
    long used = Sizes.sum(Sizes.product(lines - 1, given.scaleStride), line);
    Objects.checkFromIndexSize(0, used, given.scales.length);
    if (given.groupOf.length != 0) {
      Objects.checkFromIndexSize(0, columns, given.groupOf.length);
    }
    Objects.checkIndex(given.offset, given.codes.bytes());
  }
}
