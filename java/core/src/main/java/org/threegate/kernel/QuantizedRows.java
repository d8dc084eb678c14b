package org.threegate.kernel;

import java.util.Objects;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Constants;
import org.threegate.spi.Structs;

/**
 * Rows of quantized weights ({@code tg_codes}), which are decoded to float32. An entry is the
 * number that its code stands for, less a zero point, times a scale. Scales and zero points belong
 * to a group of columns, and to one or more rows.
 *
 * <pre>{@code
 * float[] table = new float[16];
 * for (int code = 0; code < 16; code++) {
 *   table[code] = code - 8;
 * }
 * QuantizedRows codes =
 *     QuantizedRows.builder(buffer, 0, QuantizedRows.Order.LOW_FIRST)
 *         .shape(2, 32)
 *         .stride(16)
 *         .table(table)
 *         .scales(new float[] {0.5f, 0.25f}, 1)
 *         .groups(1, 32)
 *         .build();
 * try (NativeBuffer rows = context.allocate(2 * 32 * Float.BYTES)) {
 *   codes.decode(context, rows, 0);
 *   System.out.println(rows.getFloat(0));
 * }
 * }</pre>
 */
public final class QuantizedRows implements Entries {
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
    private long rows;
    private long columns;
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
      this.order = Objects.requireNonNull(order);
    }

    /** Copies a builder, which may change afterwards. Arrays never change. */
    private Builder(Builder other) {
      codes = other.codes;
      offset = other.offset;
      order = other.order;
      rows = other.rows;
      columns = other.columns;
      stride = other.stride;
      firstRow = other.firstRow;
      table = other.table;
      scales = other.scales;
      zeros = other.zeros;
      scaleStride = other.scaleStride;
      scaleRows = other.scaleRows;
      groups = other.groups;
      groupColumns = other.groupColumns;
      groupOf = other.groupOf;
    }

    /** Requires that a number is not below a limit. */
    private static long atLeast(long limit, long number, String what) {
      if (number < limit) {
        throw new IllegalArgumentException(
            what + " is " + number + "; it must be at least " + limit);
      }
      return number;
    }

    /**
     * Sets the shape.
     *
     * @param rowCount number of rows
     * @param columnCount number of columns
     * @return this builder
     * @throws IllegalArgumentException if a number is negative
     */
    public Builder shape(long rowCount, long columnCount) {
      if (rowCount < 0 || columnCount < 0) {
        throw new IllegalArgumentException("no matrix of " + rowCount + " x " + columnCount);
      }
      rows = rowCount;
      columns = columnCount;
      return this;
    }

    /**
     * Sets the distance between two rows of codes; for {@link Order#DOWN} between two rows of
     * words; for the orders across between two columns of words.
     *
     * @param bytes distance in bytes
     * @return this builder
     * @throws IllegalArgumentException if a number is too small
     */
    public Builder stride(long bytes) {
      stride = atLeast(0, bytes, "the stride");
      return this;
    }

    /**
     * Sets the place of the first row in its word, for the orders across.
     *
     * @param row place of the row; 0 by default
     * @return this builder
     * @throws IllegalArgumentException if a number is too small
     */
    public Builder firstRow(long row) {
      firstRow = atLeast(0, row, "the first row");
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
     * @throws IllegalArgumentException if a number is too small
     */
    public Builder scales(float[] values, long rowStride) {
      scales = values.clone();
      scaleStride = atLeast(0, rowStride, "the stride of scales");
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
     * @throws IllegalArgumentException if a number is too small
     */
    public Builder scaleRows(long rows) {
      scaleRows = atLeast(1, rows, "the number of rows");
      return this;
    }

    /**
     * Sets the groups of columns.
     *
     * @param count number of groups
     * @param columns columns of a group
     * @return this builder
     * @throws IllegalArgumentException if a number is too small
     */
    public Builder groups(long count, long columns) {
      groups = atLeast(1, count, "the number of groups");
      groupColumns = atLeast(1, columns, "the number of columns");
      groupOf = new int[0];
      return this;
    }

    /**
     * Sets the group of each column.
     *
     * @param count number of groups
     * @param ofColumns group of each column
     * @return this builder
     * @throws IllegalArgumentException if a number is too small
     */
    public Builder groups(long count, int[] ofColumns) {
      groups = atLeast(1, count, "the number of groups");
      groupOf = ofColumns.clone();
      return this;
    }

    /**
     * {@return the codes}
     *
     * @throws IllegalArgumentException if zero points are given that are not as many as scales
     * @throws IndexOutOfBoundsException if scales or groups are missing, or no code is in the
     *     memory
     */
    public QuantizedRows build() {
      Builder copy = new Builder(this);
      copy.requireScales();
      return new QuantizedRows(copy);
    }

    /** Requires the scales and groups that the kernel reads. It does not know their number. */
    private void requireScales() {
      if (zeros.length != 0 && zeros.length != scales.length) {
        throw new IllegalArgumentException(
            zeros.length + " zero points for " + scales.length + " scales");
      }
      if (rows == 0 || columns == 0) {
        return;
      }
      if (table.length == 0) {
        throw new IllegalArgumentException("codes without a table of their numbers");
      }
      long blocks = (Sizes.sum(firstRow, rows) - 1) / scaleRows + 1;
      boolean inRows = order == Order.LOW_FIRST || order == Order.HIGH_FIRST;
      long lines = inRows ? blocks : groups;
      long line = inRows ? groups : blocks;
      long used = Sizes.sum(Sizes.product(lines - 1, scaleStride), line);
      Objects.checkFromIndexSize(0, used, scales.length);
      if (groupOf.length != 0) {
        Objects.checkFromIndexSize(0, columns, groupOf.length);
      }
      Objects.checkIndex(offset, codes.bytes());
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

  @Override
  public long rows() {
    return given.rows;
  }

  @Override
  public long columns() {
    return given.columns;
  }

  /**
   * Decodes all rows ({@code tg_codes_decode}).
   *
   * @param context context that runs the kernel
   * @param out receives the entries in float32, row by row
   * @param position position of the first entry in {@code out}, in bytes
   * @throws IndexOutOfBoundsException if {@code out} is too short
   * @throws KernelException INVALID_ARGUMENT if the codes do not lie in their memory
   */
  public void decode(Context context, NativeBuffer out, long position) {
    long entries = Sizes.product(given.rows, given.columns);
    Objects.checkFromIndexSize(position, Sizes.product(entries, Float.BYTES), out.bytes());
    try (Context.Call call = context.begin();
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long codes = write(context, leases);
      long address = leases.takeOutput(out) + position;
      call.run(unused -> context.binding().codesDecode(context.handle(), codes, address));
    }
  }

  /** Writes a {@code tg_operand} of the codes, and takes leases on all buffers. */
  void writeOperand(Context context, NativeBuffer struct, long at, Operand.Leases leases) {
    struct.fill(at, Structs.OPERAND_SIZEOF, (byte) 0);
    struct.putLong(at + Structs.OPERAND_SIZE, Structs.OPERAND_SIZEOF);
    long values = at + Structs.OPERAND_VALUES;
    struct
        .putLong(values + Structs.MATRIX_DATA, write(context, leases))
        .putLong(values + Structs.MATRIX_ROWS, given.rows)
        .putLong(values + Structs.MATRIX_COLUMNS, given.columns)
        .putLong(values + Structs.MATRIX_ROW_STRIDE, given.columns)
        .putInt(values + Structs.MATRIX_DTYPE, Constants.CODES);
  }

  /** Writes a {@code tg_codes} and its arrays. Returns its address. */
  private long write(Context context, Operand.Leases leases) {
    long table = Structs.CODES_SIZEOF;
    long scales = table + bytes(given.table.length);
    long zeros = scales + bytes(given.scales.length);
    long groupOf = zeros + bytes(given.zeros.length);
    NativeBuffer block = leases.allocate(context, groupOf + bytes(given.groupOf.length));
    long address = leases.take(block);
    block
        .putFloats(table, given.table)
        .putFloats(scales, given.scales)
        .putFloats(zeros, given.zeros)
        .putInts(groupOf, given.groupOf)
        .putLong(Structs.CODES_SIZE, Structs.CODES_SIZEOF)
        .putLong(Structs.CODES_CODES, leases.take(given.codes) + given.offset)
        .putLong(Structs.CODES_CODE_BYTES, given.codes.bytes() - given.offset)
        .putLong(Structs.CODES_ROWS, given.rows)
        .putLong(Structs.CODES_COLUMNS, given.columns)
        .putLong(Structs.CODES_STRIDE, given.stride)
        .putInt(Structs.CODES_BITS, given.table.length == CODES_8 ? 8 : 4)
        .putInt(Structs.CODES_ORDER, given.order.code)
        .putLong(Structs.CODES_FIRST_ROW, given.firstRow)
        .putLong(Structs.CODES_TABLE, address + table)
        .putLong(Structs.CODES_SCALES, address + scales)
        .putLong(Structs.CODES_ZEROS, given.zeros.length == 0 ? 0 : address + zeros)
        .putLong(Structs.CODES_SCALE_STRIDE, given.scaleStride)
        .putLong(Structs.CODES_SCALE_ROWS, given.scaleRows)
        .putLong(Structs.CODES_GROUPS, given.groups)
        .putLong(Structs.CODES_GROUP_COLUMNS, given.groupColumns)
        .putLong(Structs.CODES_GROUP_OF, given.groupOf.length == 0 ? 0 : address + groupOf);
    return address;
  }

  private static long bytes(int elements) {
    return (long) Float.BYTES * elements;
  }
}
