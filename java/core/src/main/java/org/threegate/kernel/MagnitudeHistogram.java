package org.threegate.kernel;

import java.util.ArrayList;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Constants;

/**
 * Counts entries of a matrix by bf16 magnitude, and how many of them are in two masks ({@code
 * tg_magnitude_histogram}). The counts tell how much two masks would overlap if only magnitudes
 * decided.
 *
 * <pre>{@code
 * Operand weight = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Mask low = MaskSelection.smallest(context, weight, 1024, control);
 * Mask high = MaskSelection.largest(context, weight, 1024, control);
 * MagnitudeHistogram.Result counts = MagnitudeHistogram.of(context, weight, low, high);
 * System.out.println(counts.all()[0] + " zeros, " + counts.first()[0] + " of them in the first");
 * }</pre>
 */
public final class MagnitudeHistogram {
  /** Number of magnitude codes: bf16 without the sign. */
  public static final int CODES = Constants.MAGNITUDE_CODES;

  private MagnitudeHistogram() {}

  /**
   * Counts by code: all entries, entries in the first mask, in the second, and in both.
   *
   * @param all counts of all entries
   * @param first counts of entries in the first mask
   * @param second counts of entries in the second mask
   * @param both counts of entries in both masks
   */
  public record Result(long[] all, long[] first, long[] second, long[] both) {
    /** Copies the arrays, each of {@link #CODES} counts. */
    public Result {
      all = counts(all);
      first = counts(first);
      second = counts(second);
      both = counts(both);
    }

    private static long[] counts(long[] given) {
      if (given.length != CODES) {
        throw new IllegalArgumentException(given.length + " counts for " + CODES + " codes");
      }
      return given.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public long[] all() {
      return all.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public long[] first() {
      return first.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public long[] second() {
      return second.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public long[] both() {
      return both.clone();
    }
  }

  /**
   * Counts entries.
   *
   * @param context context that runs the kernel
   * @param matrix matrix to read
   * @param first first mask, of the shape of the matrix
   * @param second second mask, of the shape of the matrix
   * @return the counts
   * @throws IllegalArgumentException if a mask has another shape
   */
  public static Result of(Context context, Operand matrix, Mask first, Mask second) {
    requireShape(matrix, first);
    requireShape(matrix, second);
    long bytes = 8L * CODES;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(matrix.structBytes());
        NativeBuffer firstWords = first.copyTo(context);
        NativeBuffer secondWords = second.copyTo(context);
        NativeBuffer counts = context.allocate(4 * bytes);
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      matrix.write(structs, address, 0, leases);
      long firstAddress = leases.take(firstWords);
      long secondAddress = leases.take(secondWords);
      long out = leases.take(counts);
      call.run(
          unused ->
              context
                  .binding()
                  .magnitudeHistogram(
                      context.handle(),
                      address,
                      firstAddress,
                      secondAddress,
                      out,
                      out + bytes,
                      out + 2 * bytes,
                      out + 3 * bytes));
      return new Result(
          longs(counts, 0),
          longs(counts, bytes),
          longs(counts, 2 * bytes),
          longs(counts, 3 * bytes));
    }
  }

  static void requireShape(Operand matrix, Mask mask) {
    if (mask.rows() != matrix.rows() || mask.columns() != matrix.columns()) {
      throw new IllegalArgumentException(
          "a mask of "
              + mask.rows()
              + " x "
              + mask.columns()
              + " entries; the matrix has "
              + matrix.rows()
              + " x "
              + matrix.columns());
    }
  }

  /**
   * Sums over rows and columns of a number that depends on each entry's magnitude ({@code
   * tg_magnitude_profile}). They are the expected counts if only magnitudes decide.
   *
   * @param rows a sum for each row
   * @param columns a sum for each column
   */
  public record Profile(double[] rows, double[] columns) {
    /** Copies the arrays. */
    public Profile {
      rows = rows.clone();
      columns = columns.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public double[] rows() {
      return rows.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public double[] columns() {
      return columns.clone();
    }
  }

  /**
   * Sums numbers over rows and columns.
   *
   * @param context context that runs the kernel
   * @param matrix matrix to read
   * @param table a number for each of the {@link #CODES} magnitude codes
   * @return the sums
   */
  public static Profile profile(Context context, Operand matrix, double[] table) {
    if (table.length != CODES) {
      throw new IllegalArgumentException(table.length + " numbers for " + CODES + " codes");
    }
    long rows = matrix.rows();
    long columns = matrix.columns();
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(matrix.structBytes());
        NativeBuffer numbers =
            context.allocate(Sizes.product(8, Sizes.sum(Sizes.sum(CODES, rows), columns)));
        Operand.Leases leases = new Operand.Leases(context)) {
      numbers.putDoubles(0, table);
      long address = leases.take(structs);
      matrix.write(structs, address, 0, leases);
      long at = leases.take(numbers);
      call.run(
          unused ->
              context
                  .binding()
                  .magnitudeProfile(
                      context.handle(), address, at, at + 8L * CODES, at + 8 * (CODES + rows)));
      return new Profile(
          numbers.getDoubles(8L * CODES, rows), numbers.getDoubles(8 * (CODES + rows), columns));
    }
  }

  /**
   * Sums numbers over rows and columns, for several tables in one pass ({@code tg_magnitude_sums}).
   *
   * @param context context that runs the kernel
   * @param matrix matrix to read
   * @param codes magnitude codes of the numbers; entries with another code count as 0
   * @param tables tables with a number for each of the codes, at least one
   * @return the sums of each table
   * @throws IllegalArgumentException if there is no table, or one has another length
   */
  public static List<Profile> profiles(
      Context context, Operand matrix, int[] codes, List<double[]> tables) {
    for (double[] table : tables) {
      if (table.length != codes.length) {
        throw new IllegalArgumentException(
            table.length + " numbers for " + codes.length + " codes");
      }
    }
    int count = tables.size();
    long rows = matrix.rows();
    long columns = matrix.columns();
    long valuesAt = matrix.structBytes();
    long rowsAt = Sizes.sum(valuesAt, Sizes.product(8L * codes.length, count));
    long columnsAt = Sizes.sum(rowsAt, Sizes.product(8L * count, rows));
    long codesAt = Sizes.sum(columnsAt, Sizes.product(8L * count, columns));
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(codesAt + 4L * codes.length);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      matrix.write(structs, address, 0, leases);
      structs.putInts(codesAt, codes);
      for (int i = 0; i < count; i++) {
        structs.putDoubles(valuesAt + 8L * codes.length * i, tables.get(i));
      }
      call.run(
          unused ->
              context
                  .binding()
                  .magnitudeSums(
                      context.handle(),
                      address,
                      address + codesAt,
                      codes.length,
                      address + valuesAt,
                      count,
                      address + rowsAt,
                      address + columnsAt));
      List<Profile> profiles = new ArrayList<>(count);
      for (int i = 0; i < count; i++) {
        profiles.add(
            new Profile(
                structs.getDoubles(rowsAt + 8 * rows * i, rows),
                structs.getDoubles(columnsAt + 8 * columns * i, columns)));
      }
      return List.copyOf(profiles);
    }
  }

  private static long[] longs(NativeBuffer from, long offset) {
    return from.getLongs(offset, CODES);
  }
}
