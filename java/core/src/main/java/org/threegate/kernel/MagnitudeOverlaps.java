package org.threegate.kernel;

import java.util.List;
import java.util.Objects;
import org.threegate.buffer.NativeBuffer;

/**
 * Counts entries of a matrix by the bf16 magnitude codes that it has, and how many of them masks
 * share ({@code tg_magnitude_overlaps}). The counts are those of {@link MagnitudeHistogram} without
 * the codes that no entry has. A small matrix has few codes, so that its counts are few as well.
 *
 * <pre>{@code
 * Operand weight = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Mask low = MaskSelection.smallest(context, weight, 1024, control);
 * Mask high = MaskSelection.largest(context, weight, 1024, control);
 * MagnitudeOverlaps.Result counts = MagnitudeOverlaps.of(context, weight, List.of(low, high));
 * System.out.println(counts.codes().length + " codes, " + counts.common(0, 1)[0] + " in both");
 * }</pre>
 */
public final class MagnitudeOverlaps {
  private MagnitudeOverlaps() {}

  /**
   * Counts by code.
   *
   * @param codes the codes that the matrix has, ascending
   * @param all number of entries with each code
   * @param masks number of masks
   * @param common at (i · masks + j) · codes + c, the number of entries with code c in both mask i
   *     and mask j
   */
  public record Result(int[] codes, long[] all, int masks, long[] common) {
    /** Copies the arrays. */
    public Result {
      if (all.length != codes.length || common.length != (long) masks * masks * codes.length) {
        throw new IllegalArgumentException(
            all.length
                + " and "
                + common.length
                + " counts for "
                + codes.length
                + " codes and "
                + masks
                + " masks");
      }
      codes = codes.clone();
      all = all.clone();
      common = common.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public int[] codes() {
      return codes.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public long[] all() {
      return all.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public long[] common() {
      return common.clone();
    }

    /**
     * {@return the number of entries in both of two masks, for each code}
     *
     * @param first index of the first mask
     * @param second index of the second mask; the same for the counts of one mask
     * @throws IndexOutOfBoundsException if there is no such mask
     */
    public long[] common(int first, int second) {
      Objects.checkIndex(first, masks);
      Objects.checkIndex(second, masks);
      long[] counts = new long[codes.length];
      System.arraycopy(common, (first * masks + second) * codes.length, counts, 0, codes.length);
      return counts;
    }
  }

  /**
   * Counts entries.
   *
   * @param context context that runs the kernel
   * @param matrix matrix to read
   * @param masks masks of the shape of the matrix; may be none
   * @return the counts
   * @throws IllegalArgumentException if a mask has another shape
   */
  public static Result of(Context context, Operand matrix, List<Mask> masks) {
    List<Mask> given = List.copyOf(masks);
    given.forEach(mask -> MagnitudeHistogram.requireShape(matrix, mask));
    int count = given.size();
    long capacity =
        Math.min(Sizes.product(matrix.rows(), matrix.columns()), MagnitudeHistogram.CODES);
    long allAt = matrix.structBytes();
    long foundAt = allAt + 8 * capacity;
    long commonAt = foundAt + 8;
    long codesAt = Sizes.sum(commonAt, Sizes.product(8 * capacity, (long) count * count));
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(codesAt + 4 * capacity);
        MaskSets.Sets sets = MaskSets.Sets.of(context, given);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      matrix.write(structs, address, 0, leases);
      call.run(
          unused ->
              context
                  .binding()
                  .magnitudeOverlaps(
                      context.handle(),
                      address,
                      sets.address(),
                      capacity,
                      address + codesAt,
                      address + allAt,
                      address + commonAt,
                      address + foundAt));
      int found = Math.toIntExact(structs.getLong(foundAt));
      long[] common = new long[Sizes.length((long) count * count * found)];
      for (int pair = 0; pair < count * count; pair++) {
        long[] own = structs.getLongs(commonAt + 8 * capacity * pair, found);
        System.arraycopy(own, 0, common, pair * found, found);
      }
      return new Result(
          structs.getInts(codesAt, found), structs.getLongs(allAt, found), count, common);
    }
  }
}
