package org.threegate.kernel;

import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.KernelBinding;

/**
 * The bf16-round-trip diff of two matrices of the same shape, of any dtypes, in one pass ({@code
 * tg_diff}; definitions: arXiv 2511.08567, Definitions 2.1 and 2.2, and {@code threegate.h}).
 * Counts are the same on every device, at every SIMD level and for any number of threads.
 *
 * <pre>{@code
 * try (Context context = Context.open();
 *     NativeBuffer base = context.allocate(2 * 3 * 4);
 *     NativeBuffer tuned = context.allocate(2 * 3 * 4)) {
 *   Matrix w0 = Matrix.of(base, Dtype.BF16, 3, 4);
 *   Matrix w1 = Matrix.of(tuned, Dtype.BF16, 3, 4);
 *   Bf16Diff.Result result = Bf16Diff.compare(context, Operand.of(w0), Operand.of(w1));
 *   System.out.println(result.changed() + " of " + result.total() + " changed");
 * }
 * }</pre>
 */
public final class Bf16Diff {
  /** Bins of {@link Result#ulpHistogram}. */
  public static final int ULP_BINS = 15;

  private Bf16Diff() {}

  /**
   * Which vectors to return beside the counts.
   *
   * @param rows changed entries by row
   * @param columns changed entries by column
   * @param mask one bit an entry
   * @param mapRows rows of a map of changed entries, 0: no map
   * @param mapColumns columns of that map
   */
  public record Profiles(boolean rows, boolean columns, boolean mask, int mapRows, int mapColumns) {
    public static final Profiles NONE = new Profiles(false, false, false, 0, 0);
    public static final Profiles ROWS_AND_COLUMNS = new Profiles(true, true, false, 0, 0);
  }

  /**
   * Counts and sums; sums run over the entries that are finite on both sides. See {@code
   * tg_diff_result} for each definition.
   *
   * @param ulpHistogram |Δw| in units of the bf16 spacing at the base's entry: 0, (0,1/4],
   *     (1/4,1/2], (1/2,1], (1,2], (2,4], …, (512,1024], above
   * @param rowChanged changed entries by row, when asked for
   * @param columnChanged changed entries by column, when asked for
   * @param mask bit j mod 64 of word i · ceil(columns/64) + j/64 is entry (i, j), when asked for
   * @param map row-major mapRows x mapColumns counts, when asked for
   */
  public record Result(
      long total,
      long changed,
      long changedBits,
      long changedStored,
      long hidden,
      long nonFinite,
      long signFlips,
      long[] ulpHistogram,
      double baseSquares,
      double deltaSquares,
      double deltaDotBase,
      double maxAbsDelta,
      Optional<long[]> rowChanged,
      Optional<long[]> columnChanged,
      Optional<long[]> mask,
      Optional<long[]> map) {}

  /** Counts and sums alone. */
  public static Result compare(Context context, Operand base, Operand tuned) {
    try (Control control = Control.open(context)) {
      return compare(context, base, tuned, Profiles.NONE, control);
    }
  }

  /**
   * @throws KernelException CANCELLED through the control; IO when a mapped file was truncated
   *     meanwhile; INVALID_ARGUMENT when the shapes differ
   */
  public static Result compare(
      Context context, Operand base, Operand tuned, Profiles profiles, Control control) {
    long rows = profiles.rows() ? base.rows() : 0;
    long columns = profiles.columns() ? base.columns() : 0;
    long words = profiles.mask() ? Math.multiplyExact(base.rows(), (base.columns() + 63) / 64) : 0;
    boolean hasMap = profiles.mapRows() > 0 && base.rows() > 0 && base.columns() > 0;
    long cells = hasMap ? (long) profiles.mapRows() * profiles.mapColumns() : 0;
    KernelBinding binding = context.binding();
    try (Context.Call call = context.begin();
        NativeBuffer structs =
            context.allocate(
                base.structBytes()
                    + tuned.structBytes()
                    + Struct.DIFF_OPTIONS
                    + Struct.DIFF_PROFILES
                    + Struct.DIFF_RESULT
                    + Workspace.STRUCT_BYTES);
        NativeBuffer vectors = context.allocate(8 * (rows + columns + words + cells));
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.take(structs);
      long vector = leases.take(vectors);
      long baseAt = 0;
      long tunedAt = baseAt + base.structBytes();
      long optionsAt = tunedAt + tuned.structBytes();
      long profilesAt = optionsAt + Struct.DIFF_OPTIONS;
      long resultAt = profilesAt + Struct.DIFF_PROFILES;
      long workspaceAt = resultAt + Struct.DIFF_RESULT;
      base.write(structs, address, baseAt, leases);
      tuned.write(structs, address, tunedAt, leases);
      structs
          .putLong(optionsAt + Struct.DIFF_OPTIONS_SIZE, Struct.DIFF_OPTIONS)
          .putLong(profilesAt + Struct.DIFF_PROFILES_SIZE, Struct.DIFF_PROFILES)
          .putLong(profilesAt + Struct.DIFF_PROFILES_ROW_CHANGED, rows > 0 ? vector : 0)
          .putLong(
              profilesAt + Struct.DIFF_PROFILES_COLUMN_CHANGED, columns > 0 ? vector + 8 * rows : 0)
          .putLong(
              profilesAt + Struct.DIFF_PROFILES_MASK, words > 0 ? vector + 8 * (rows + columns) : 0)
          .putLong(profilesAt + Struct.DIFF_PROFILES_MASK_WORDS, words)
          .putLong(
              profilesAt + Struct.DIFF_PROFILES_MAP,
              hasMap ? vector + 8 * (rows + columns + words) : 0)
          .putLong(profilesAt + Struct.DIFF_PROFILES_MAP_ROWS, hasMap ? profiles.mapRows() : 0)
          .putLong(
              profilesAt + Struct.DIFF_PROFILES_MAP_COLUMNS, hasMap ? profiles.mapColumns() : 0)
          .putLong(resultAt + Struct.DIFF_RESULT_SIZE, Struct.DIFF_RESULT);
      try (NativeBuffer.Lease controlLease = control.lease()) {
        Workspace.use(
            context,
            call,
            structs,
            workspaceAt,
            size ->
                binding.diffWorkspace(
                    context.handle(),
                    address + baseAt,
                    address + tunedAt,
                    address + optionsAt,
                    address + profilesAt,
                    size),
            workspace ->
                binding.diff(
                    context.handle(),
                    address + baseAt,
                    address + tunedAt,
                    address + optionsAt,
                    controlLease.address(),
                    workspace,
                    address + profilesAt,
                    address + resultAt));
      }
      return new Result(
          structs.getLong(resultAt + Struct.DIFF_RESULT_TOTAL),
          structs.getLong(resultAt + Struct.DIFF_RESULT_CHANGED),
          structs.getLong(resultAt + Struct.DIFF_RESULT_CHANGED_BITS),
          structs.getLong(resultAt + Struct.DIFF_RESULT_CHANGED_STORED),
          structs.getLong(resultAt + Struct.DIFF_RESULT_HIDDEN),
          structs.getLong(resultAt + Struct.DIFF_RESULT_NON_FINITE),
          structs.getLong(resultAt + Struct.DIFF_RESULT_SIGN_FLIPS),
          longs(structs, resultAt + Struct.DIFF_RESULT_ULP_HISTOGRAM, ULP_BINS),
          structs.getDouble(resultAt + Struct.DIFF_RESULT_BASE_SQUARES),
          structs.getDouble(resultAt + Struct.DIFF_RESULT_DELTA_SQUARES),
          structs.getDouble(resultAt + Struct.DIFF_RESULT_DELTA_DOT_BASE),
          structs.getDouble(resultAt + Struct.DIFF_RESULT_MAX_ABS_DELTA),
          optional(profiles.rows(), vectors, 0, rows),
          optional(profiles.columns(), vectors, 8 * rows, columns),
          optional(profiles.mask(), vectors, 8 * (rows + columns), words),
          optional(hasMap, vectors, 8 * (rows + columns + words), cells));
    }
  }

  private static Optional<long[]> optional(
      boolean wanted, NativeBuffer from, long offset, long count) {
    return wanted ? Optional.of(longs(from, offset, count)) : Optional.empty();
  }

  private static long[] longs(NativeBuffer from, long offset, long count) {
    long[] result = new long[Math.toIntExact(count)];
    for (int i = 0; i < result.length; i++) {
      result[i] = from.getLong(offset + 8L * i);
    }
    return result;
  }
}
