package org.threegate.kernel;

import java.util.Arrays;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * Selects exactly the entries with the largest or smallest scores ({@code tg_mask_select}; arXiv
 * 2511.08567, section 4.2). Of entries with equal scores those with the lower index are taken.
 *
 * <pre>{@code
 * Operand weight = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * try (TruncatedSvd.Result svd = TruncatedSvd.of(context, TruncatedSvd.Request.of(weight, 6, 1e-9))) {
 *   Mask principal = MaskSelection.principal(context, svd, 2048, control);
 *   Mask low = MaskSelection.smallest(context, weight, 2048, control);
 *   System.out.println(MaskSets.overlaps(context, List.of(principal, low)).common(0, 1)
 *       + " entries are principal and small");
 * }
 * }</pre>
 */
public final class MaskSelection {
  private MaskSelection() {}

  /**
   * Selects the entries with the largest magnitudes in the reconstruction from singular triplets,
   * which is never stored.
   *
   * @param context context that runs the kernel
   * @param triplets a decomposition with vectors
   * @param count number of entries to select
   * @param control cancels the call and reports its progress
   * @return the selected entries
   */
  public static Mask principal(
      Context context, TruncatedSvd.Result triplets, long count, Control control) {
    return principal(context, new Leading(triplets, triplets.rank()), count, control);
  }

  /**
   * The leading triplets of a decomposition.
   *
   * @param of the decomposition
   * @param rank number of leading triplets
   */
  public record Leading(TruncatedSvd.Result of, int rank) {}

  /**
   * Selects entries by the reconstruction from leading triplets.
   *
   * @param context context that runs the kernel
   * @param leading the triplets
   * @param count number of entries to select
   * @param control cancels the call and reports its progress
   * @return the selected entries
   */
  public static Mask principal(Context context, Leading leading, long count, Control control) {
    TruncatedSvd.Result triplets = leading.of();
    int rank = leading.rank();
    Matrix left = triplets.leftVectors();
    Matrix right = triplets.rightVectors();
    if (rank < 0 || rank > triplets.rank()) {
      throw new IllegalArgumentException(rank + " of " + triplets.rank() + " triplets");
    }
    requireVectors(left, rank);
    requireVectors(right, rank);
    try (NativeBuffer structs = context.allocate(structBytes(0));
        NativeBuffer values = context.allocate(8L * rank);
        Operand.Leases leases = new Operand.Leases(context)) {
      values.putDoubles(0, Arrays.copyOf(triplets.values(), rank));
      structs
          .putLong(Structs.MASK_SCORES_MATRIX, 0)
          .putLong(Structs.MASK_SCORES_VALUES, leases.take(values))
          .putLong(Structs.MASK_SCORES_LEFT, leases.take(left.buffer()) + left.offset())
          .putLong(Structs.MASK_SCORES_RIGHT, leases.take(right.buffer()) + right.offset())
          .putLong(Structs.MASK_SCORES_RANK, rank)
          .putLong(Structs.MASK_SCORES_ROWS, left.columns())
          .putLong(Structs.MASK_SCORES_COLUMNS, right.columns());
      return select(context, structs, left.columns(), right.columns(), count, false, control);
    }
  }

  /** Checks that vectors have the layout of a result, because they are passed by address. */
  private static void requireVectors(Matrix vectors, int rank) {
    if (vectors.dtype() != Dtype.F64 || vectors.rows() < rank || vectors.hasGaps()) {
      throw new IllegalArgumentException(
          rank
              + " triplets of "
              + vectors.rows()
              + " vectors of "
              + vectors.dtype()
              + "; they must be F64, contiguous, and one for each triplet");
    }
  }

  /**
   * Selects the {@code count} entries with the largest magnitudes.
   *
   * @param context context that runs the kernel
   * @param matrix matrix to read
   * @param count number of entries to select
   * @param control cancels the call and reports its progress
   * @return the selected entries
   */
  public static Mask largest(Context context, Operand matrix, long count, Control control) {
    return ofMatrix(context, matrix, count, false, control);
  }

  /**
   * Selects the {@code count} entries with the smallest magnitudes.
   *
   * @param context context that runs the kernel
   * @param matrix matrix to read
   * @param count number of entries to select
   * @param control cancels the call and reports its progress
   * @return the selected entries
   */
  public static Mask smallest(Context context, Operand matrix, long count, Control control) {
    return ofMatrix(context, matrix, count, true, control);
  }

  private static long structBytes(long operandBytes) {
    return Structs.MASK_SCORES_SIZEOF
        + Structs.MASK_OPTIONS_SIZEOF
        + Workspace.STRUCT_BYTES
        + operandBytes;
  }

  private static Mask ofMatrix(
      Context context, Operand matrix, long count, boolean smallest, Control control) {
    try (NativeBuffer structs = context.allocate(structBytes(matrix.structBytes()));
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      matrix.write(structs, address, structBytes(0), leases);
      for (int field = Structs.MASK_SCORES_VALUES; field < Structs.MASK_SCORES_SIZEOF; field += 8) {
        structs.putLong(field, 0);
      }
      structs.putLong(Structs.MASK_SCORES_MATRIX, address + structBytes(0));
      return select(context, structs, matrix.rows(), matrix.columns(), count, smallest, control);
    }
  }

  private static Mask select(
      Context context,
      NativeBuffer structs,
      long rows,
      long columns,
      long count,
      boolean smallest,
      Control control) {
    int words = Mask.wordCount(rows, columns);
    long optionsAt = Structs.MASK_SCORES_SIZEOF;
    structs
        .putLong(Structs.MASK_SCORES_SIZE, Structs.MASK_SCORES_SIZEOF)
        .putLong(optionsAt + Structs.MASK_OPTIONS_SIZE, Structs.MASK_OPTIONS_SIZEOF)
        .putLong(optionsAt + Structs.MASK_OPTIONS_COUNT, count)
        .putInt(optionsAt + Structs.MASK_OPTIONS_SMALLEST, smallest ? 1 : 0)
        .putInt(optionsAt + Structs.MASK_OPTIONS_RESERVED, 0);
    KernelBinding binding = context.binding();
    try (Context.Call call = control.begin(context);
        NativeBuffer bits = context.allocate(8L * words);
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      long bitsAddress = leases.takeOutput(bits);
      Workspace.use(
          context,
          call,
          structs,
          optionsAt + Structs.MASK_OPTIONS_SIZEOF,
          size -> binding.maskSelectWorkspace(context.handle(), address, address + optionsAt, size),
          workspace ->
              binding.maskSelect(
                  context.handle(),
                  address,
                  address + optionsAt,
                  call.control(),
                  workspace,
                  bitsAddress,
                  words));
      return Mask.copyOf(bits, 0, rows, columns);
    }
  }
}
