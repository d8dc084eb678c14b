package org.threegate.analysis.diff;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.LongStream;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.analysis.statistics.Totals;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.TensorKind;
import org.threegate.checkpoint.weight.Scratch;
import org.threegate.checkpoint.weight.Values;
import org.threegate.kernel.Bf16Diff;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.Entries;

/**
 * Counts the changed entries of one pair of tensors, in total and by position.
 *
 * <pre>{@code
 * try (Checkpoint before = Checkpoint.open(context, base);
 *     Checkpoint after = Checkpoint.open(context, tuned)) {
 *   for (WeightPair shared : Pairing.of(before, after, name -> true).pairs()) {
 *     try (TensorPair pair = shared.open(context)) {
 *       System.out.println(DiffMeasurement.of(context, pair, control).totals().sparsity());
 *     }
 *   }
 * }
 * }</pre>
 */
public final class DiffMeasurement {
  /** Largest number of rows or columns for which changes are counted per row or column. */
  public static final long LONGEST_PROFILE = 1L << 22;

  private DiffMeasurement() {}

  /**
   * Compares one pair.
   *
   * @param context context that runs the kernel
   * @param pair pair to compare
   * @param control cancels the comparison
   * @return counts and sums of the pair
   * @throws org.threegate.kernel.KernelException with status CANCELLED if the control was
   *     cancelled, IO if a mapped file changed
   */
  public static TensorDiff of(Context context, TensorPair pair, Control control) {
    return of(context, Described.of(pair), pair.base(), pair.tuned(), control);
  }

  /**
   * Compares one pair without storing the entries of quantized weights.
   *
   * @param context context that runs the kernel
   * @param pair pair to compare
   * @param scratch memory for entries that are not read where they lie
   * @param control cancels the comparison
   * @return counts and sums of the pair
   * @throws org.threegate.kernel.KernelException as the other overload does
   */
  public static TensorDiff of(Context context, WeightPair pair, Scratch scratch, Control control) {
    try (Values.Compared base = pair.base().openToCompare(context, scratch);
        Values.Compared tuned = pair.tuned().openToCompare(context, scratch)) {
      return of(context, Described.of(pair), base.entries(), tuned.entries(), control);
    }
  }

  private static TensorDiff of(
      Context context, Described pair, Entries base, Entries tuned, Control control) {
    long rows = base.rows();
    long columns = base.columns();
    boolean matrix = pair.stored().dimensions() >= 2 && rows > 0 && columns > 0;
    int mapRows = matrix ? (int) Math.min(rows, ChangeMap.LARGEST_SIDE) : 0;
    int mapColumns = matrix ? (int) Math.min(columns, ChangeMap.LARGEST_SIDE) : 0;
    Bf16Diff.Profiles profiles =
        new Bf16Diff.Profiles(
            matrix && rows <= LONGEST_PROFILE,
            matrix && columns <= LONGEST_PROFILE,
            false,
            mapRows,
            mapColumns);
    long start = System.nanoTime();
    Bf16Diff.Result result =
        Bf16Diff.compare(context, new Bf16Diff.Pair(base, tuned, profiles), control);
    double seconds = (System.nanoTime() - start) * 1e-9;
    Optional<ChangeMap> map = result.map().map(cells -> new ChangeMap(mapRows, mapColumns, cells));
    Optional<long[]> byRow =
        pair.stored().transposed() ? result.columnChanged() : result.rowChanged();
    Optional<long[]> byColumn =
        pair.stored().transposed() ? result.rowChanged() : result.columnChanged();
    List<Long> shape = pair.stored().shape(rows, columns);
    return new TensorDiff(
        pair.name(),
        pair.layer(),
        pair.kind().label(),
        new TensorDiff.Stored(
            pair.stored().dtypeBase(),
            pair.stored().dtypeTuned(),
            shape,
            pair.stored().transposed()),
        totals(result),
        result.ulpHistogram(),
        new TensorDiff.Places(
            byRow,
            byColumn,
            heads(pair.heads(), byRow, byColumn, shape),
            pair.stored().transposed() ? map.map(ChangeMap::transposed) : map),
        seconds);
  }

  /** What a pair is, without its entries. */
  private record Described(
      String name,
      OptionalInt layer,
      TensorKind kind,
      TensorPair.Stored stored,
      List<Architecture.Head> heads) {
    static Described of(TensorPair pair) {
      return new Described(pair.name(), pair.layer(), pair.kind(), pair.stored(), pair.heads());
    }

    static Described of(WeightPair pair) {
      return new Described(pair.name(), pair.layer(), pair.kind(), pair.stored(), pair.heads());
    }
  }

  /**
   * {@return whether a diff that was read from a file is consistent with a pair}
   *
   * @param diff diff of unknown origin
   * @param pair pair that the diff may be of
   */
  public static boolean mayBeOf(TensorDiff diff, WeightPair pair) {
    List<Long> shape = pair.shape();
    return diff.shape().equals(shape)
        && diff.totals().counts().total() == pair.rows() * pair.columns()
        && diff.rowChanged().stream().allMatch(counts -> counts.length == shape.get(0))
        && diff.columnChanged().stream()
            .allMatch(counts -> shape.size() == 2 && counts.length == shape.get(1))
        && diff.map().stream().allMatch(map -> map.isWhole());
  }

  /**
   * {@return the totals of a diff}
   *
   * @param result result of the kernel
   */
  public static Totals totals(Bf16Diff.Result result) {
    return new Totals(
        new Totals.Counts(
            result.total(),
            result.changed(),
            result.changedBits(),
            result.changedStored(),
            result.hidden(),
            result.nonFinite(),
            result.signFlips()),
        new Totals.Sums(
            result.baseSquares(),
            result.deltaSquares(),
            result.deltaDotBase(),
            result.maxAbsDelta()));
  }

  /** Sums counts by attention head. A head is a range of rows or columns. */
  private static List<HeadCount> heads(
      List<Architecture.Head> heads,
      Optional<long[]> byRow,
      Optional<long[]> byColumn,
      List<Long> shape) {
    List<HeadCount> counts = new ArrayList<>();
    for (Architecture.Head head : heads) {
      Optional<long[]> profile = head.onRows() ? byRow : byColumn;
      long across = head.onRows() ? shape.get(1) : shape.get(0);
      profile.ifPresent(
          changed ->
              counts.add(
                  new HeadCount(
                      head.part().label(),
                      head.index(),
                      range(changed, head).sum(),
                      (head.end() - head.begin()) * across)));
    }
    return counts;
  }

  private static LongStream range(long[] values, Architecture.Head head) {
    return Arrays.stream(values, (int) head.begin(), (int) head.end());
  }
}
