package org.threegate.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Constants;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * Compares two matrices of the same shape after rounding to bf16, in one pass ({@code tg_diff}).
 * The matrices may have any dtypes. The definitions are those of arXiv 2511.08567, Definitions 2.1
 * and 2.2. Counts do not depend on the device, the SIMD level or the number of threads.
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
  /** Number of bins of {@link Result#ulpHistogram}. */
  public static final int ULP_BINS = Constants.ULP_BINS;

  private Bf16Diff() {}

  /**
   * The vectors to return besides the counts.
   *
   * @param rows whether to count changed entries in each row
   * @param columns whether to count changed entries in each column
   * @param mask whether to return a bit for each entry
   * @param mapRows rows of a map of changed entries; 0 for no map
   * @param mapColumns columns of that map
   */
  public record Profiles(boolean rows, boolean columns, boolean mask, int mapRows, int mapColumns) {
    /** Checks the components. */
    public Profiles {
      if (mapRows < 0 || mapColumns < 0) {
        throw new IllegalArgumentException("a map of " + mapRows + " x " + mapColumns);
      }
    }

    /** No vectors. */
    public static final Profiles NONE = new Profiles(false, false, false, 0, 0);

    /** Counts in rows and columns. */
    public static final Profiles ROWS_AND_COLUMNS = new Profiles(true, true, false, 0, 0);

    /** The mask alone. */
    public static final Profiles MASK = NONE.withMask();

    /** {@return these vectors and the mask} */
    public Profiles withMask() {
      return new Profiles(rows, columns, true, mapRows, mapColumns);
    }

    /**
     * {@return these vectors and a map with a number of rows and columns}
     *
     * @param ofRows rows of the map
     * @param ofColumns columns of the map
     */
    public Profiles withMap(int ofRows, int ofColumns) {
      return new Profiles(rows, columns, mask, ofRows, ofColumns);
    }
  }

  /**
   * Counts and sums. Sums cover entries that are finite in both matrices. {@code tg_diff_result}
   * defines each of them.
   *
   * @param total number of entries
   * @param changed entries that differ after rounding to bf16
   * @param changedBits entries whose bits differ after rounding
   * @param changedStored entries that differ as they are stored
   * @param hidden entries that differ as stored but not after rounding
   * @param nonFinite entries that are not finite in one of the matrices
   * @param signFlips entries whose sign differs
   * @param ulpHistogram |Δw| in units of the bf16 spacing at the base's entry: 0, (0,1/4],
   *     (1/4,1/2], (1/2,1], (1,2], (2,4], …, (512,1024], above
   * @param baseSquares squared Frobenius norm of the base
   * @param deltaSquares squared Frobenius norm of the difference
   * @param deltaDotBase dot product of the difference and the base
   * @param maxAbsDelta largest absolute difference
   * @param rowChanged changed entries in each row, if requested
   * @param columnChanged changed entries in each column, if requested
   * @param mask changed entries, if requested
   * @param map counts in mapRows x mapColumns cells, row by row, if requested
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
      Optional<Mask> mask,
      Optional<long[]> map) {
    /** Copies the arrays. */
    public Result {
      if (ulpHistogram.length != ULP_BINS) {
        throw new IllegalArgumentException(
            "a histogram of " + ulpHistogram.length + " bins; there are " + ULP_BINS);
      }
      ulpHistogram = ulpHistogram.clone();
      rowChanged = copy(rowChanged);
      columnChanged = copy(columnChanged);
      map = copy(map);
    }

    /** {@return a copy of the array} */
    @Override
    public long[] ulpHistogram() {
      return ulpHistogram.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public Optional<long[]> rowChanged() {
      return copy(rowChanged);
    }

    /** {@return a copy of the array} */
    @Override
    public Optional<long[]> columnChanged() {
      return copy(columnChanged);
    }

    /** {@return a copy of the array} */
    @Override
    public Optional<long[]> map() {
      return copy(map);
    }

    private static Optional<long[]> copy(Optional<long[]> array) {
      return array.isPresent() ? Optional.of(array.get().clone()) : array;
    }
  }

  /**
   * Compares two matrices and returns counts and sums only.
   *
   * @param context context that runs the kernel
   * @param base matrix before training
   * @param tuned matrix after training
   * @return counts and sums
   */
  public static Result compare(Context context, Entries base, Entries tuned) {
    try (Control control = Control.open(context)) {
      return compare(context, new Pair(base, tuned, Profiles.NONE), control);
    }
  }

  /**
   * Compares two matrices.
   *
   * @param context context that runs the kernel
   * @param pair the two matrices
   * @param control cancels the call and reports its progress
   * @return counts and sums
   * @throws KernelException CANCELLED if the control was cancelled; IO if a mapped file was
   *     truncated; INVALID_ARGUMENT if the shapes differ
   */
  public static Result compare(Context context, Pair pair, Control control) {
    return compare(context, List.of(pair), control).get(0);
  }

  /**
   * Two matrices of the same shape, and the vectors to return.
   *
   * @param base matrix before training
   * @param tuned matrix after training
   * @param profiles vectors to return
   */
  public record Pair(Entries base, Entries tuned, Profiles profiles) {
    private long rowCount() {
      return profiles.rows() ? base.rows() : 0;
    }

    private long columnCount() {
      return profiles.columns() ? base.columns() : 0;
    }

    private long words() {
      return profiles.mask() ? Mask.wordCount(base.rows(), base.columns()) : 0;
    }

    private boolean hasMap() {
      return profiles.mapRows() > 0 && base.rows() > 0 && base.columns() > 0;
    }

    private long cells() {
      return hasMap() ? (long) profiles.mapRows() * profiles.mapColumns() : 0;
    }

    private long vectorBytes() {
      return Sizes.product(
          8, Sizes.sum(Sizes.sum(rowCount(), columnCount()), Sizes.sum(words(), cells())));
    }
  }

  /**
   * Compares many pairs in one call. On a CUDA device they share launches and copies.
   *
   * @param context context that runs the kernel
   * @param given the items, which are copied
   * @param control cancels the call and reports its progress
   * @return a result for each pair, in order
   * @throws KernelException as the other overload does
   */
  public static List<Result> compare(Context context, List<Pair> given, Control control) {
    List<Pair> pairs = List.copyOf(given);
    int count = pairs.size();
    long termBytes = 0;
    long vectorBytes = 0;
    for (Pair pair : pairs) {
      termBytes += termBytes(pair.base()) + termBytes(pair.tuned());
      vectorBytes = Sizes.sum(vectorBytes, pair.vectorBytes());
    }
    long tunedAt = (long) count * Structs.OPERAND_SIZEOF;
    long profilesAt = tunedAt + (long) count * Structs.OPERAND_SIZEOF;
    long resultsAt = profilesAt + (long) count * Structs.DIFF_PROFILES_SIZEOF;
    long optionsAt = resultsAt + (long) count * Structs.DIFF_RESULT_SIZEOF;
    long workspaceAt = optionsAt + Structs.DIFF_OPTIONS_SIZEOF;
    long termsAt = workspaceAt + Workspace.STRUCT_BYTES;
    KernelBinding binding = context.binding();
    try (Context.Call call = control.begin(context);
        NativeBuffer structs = context.allocate(termsAt + termBytes);
        NativeBuffer vectors = context.allocate(vectorBytes);
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      long vector = leases.takeOutput(vectors);
      structs.putLong(optionsAt + Structs.DIFF_OPTIONS_SIZE, Structs.DIFF_OPTIONS_SIZEOF);
      long terms = termsAt;
      for (int i = 0; i < count; i++) {
        Pair pair = pairs.get(i);
        long at = (long) i * Structs.OPERAND_SIZEOF;
        for (Entries side : List.of(pair.base(), pair.tuned())) {
          if (side instanceof Operand operand) {
            operand.write(structs, address, at, terms, leases);
          } else if (side instanceof QuantizedRows codes) {
            codes.writeOperand(context, structs, at, leases);
          }
          terms += termBytes(side);
          at += tunedAt;
        }
        write(pair, structs, profilesAt + (long) i * Structs.DIFF_PROFILES_SIZEOF, vector);
        vector += pair.vectorBytes();
        structs.putLong(
            resultsAt + (long) i * Structs.DIFF_RESULT_SIZEOF + Structs.DIFF_RESULT_SIZE,
            Structs.DIFF_RESULT_SIZEOF);
      }
      Workspace.use(
          context,
          call,
          structs,
          workspaceAt,
          size ->
              binding.diffWorkspace(
                  context.handle(),
                  address,
                  address + tunedAt,
                  count,
                  address + optionsAt,
                  address + profilesAt,
                  size),
          workspace ->
              binding.diff(
                  context.handle(),
                  address,
                  address + tunedAt,
                  count,
                  address + optionsAt,
                  call.control(),
                  workspace,
                  address + profilesAt,
                  address + resultsAt));
      List<Result> results = new ArrayList<>(count);
      long read = 0;
      for (int i = 0; i < count; i++) {
        results.add(
            result(
                structs,
                resultsAt + (long) i * Structs.DIFF_RESULT_SIZEOF,
                pairs.get(i),
                vectors,
                read));
        read += pairs.get(i).vectorBytes();
      }
      return List.copyOf(results);
    }
  }

  private static long termBytes(Entries side) {
    return side instanceof Operand operand ? operand.termBytes() : 0;
  }

  /** Writes the struct of a pair's profiles, whose vectors are contiguous. */
  private static void write(Pair pair, NativeBuffer structs, long at, long vector) {
    long columns = vector + 8 * pair.rowCount();
    long mask = columns + 8 * pair.columnCount();
    long map = mask + 8 * pair.words();
    structs
        .putLong(at + Structs.DIFF_PROFILES_SIZE, Structs.DIFF_PROFILES_SIZEOF)
        .putLong(at + Structs.DIFF_PROFILES_ROW_CHANGED, pair.rowCount() > 0 ? vector : 0)
        .putLong(at + Structs.DIFF_PROFILES_COLUMN_CHANGED, pair.columnCount() > 0 ? columns : 0)
        .putLong(at + Structs.DIFF_PROFILES_MASK, pair.words() > 0 ? mask : 0)
        .putLong(at + Structs.DIFF_PROFILES_MASK_WORDS, pair.words())
        .putLong(at + Structs.DIFF_PROFILES_MAP, pair.hasMap() ? map : 0)
        .putLong(at + Structs.DIFF_PROFILES_MAP_ROWS, pair.hasMap() ? pair.profiles().mapRows() : 0)
        .putLong(
            at + Structs.DIFF_PROFILES_MAP_COLUMNS,
            pair.hasMap() ? pair.profiles().mapColumns() : 0);
  }

  private static Result result(
      NativeBuffer structs, long at, Pair pair, NativeBuffer vectors, long vector) {
    Profiles profiles = pair.profiles();
    long columns = vector + 8 * pair.rowCount();
    long mask = columns + 8 * pair.columnCount();
    long map = mask + 8 * pair.words();
    return new Result(
        structs.getLong(at + Structs.DIFF_RESULT_TOTAL),
        structs.getLong(at + Structs.DIFF_RESULT_CHANGED),
        structs.getLong(at + Structs.DIFF_RESULT_CHANGED_BITS),
        structs.getLong(at + Structs.DIFF_RESULT_CHANGED_STORED),
        structs.getLong(at + Structs.DIFF_RESULT_HIDDEN),
        structs.getLong(at + Structs.DIFF_RESULT_NON_FINITE),
        structs.getLong(at + Structs.DIFF_RESULT_SIGN_FLIPS),
        structs.getLongs(at + Structs.DIFF_RESULT_ULP_HISTOGRAM, ULP_BINS),
        structs.getDouble(at + Structs.DIFF_RESULT_BASE_SQUARES),
        structs.getDouble(at + Structs.DIFF_RESULT_DELTA_SQUARES),
        structs.getDouble(at + Structs.DIFF_RESULT_DELTA_DOT_BASE),
        structs.getDouble(at + Structs.DIFF_RESULT_MAX_ABS_DELTA),
        optional(profiles.rows(), vectors, vector, pair.rowCount()),
        optional(profiles.columns(), vectors, columns, pair.columnCount()),
        profiles.mask()
            ? Optional.of(Mask.copyOf(vectors, mask, pair.base().rows(), pair.base().columns()))
            : Optional.empty(),
        optional(pair.hasMap(), vectors, map, pair.cells()));
  }

  private static Optional<long[]> optional(
      boolean wanted, NativeBuffer from, long offset, long count) {
    return wanted ? Optional.of(from.getLongs(offset, Sizes.length(count))) : Optional.empty();
  }
}
