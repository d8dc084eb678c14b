package org.threegate.kernel;

import java.util.List;
import java.util.Objects;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Constants;
import org.threegate.spi.Structs;

/**
 * Set operations on masks of the same shape, and their overlaps ({@code tg_mask_combine}, {@code
 * tg_mask_overlaps}).
 *
 * <pre>{@code
 * Operand weight = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Mask low = MaskSelection.smallest(context, weight, 1024, control);
 * Mask high = MaskSelection.largest(context, weight, 1024, control);
 * Mask middle = MaskSets.combine(context, MaskSets.Operation.COMPLEMENT, low, high);
 * MaskSets.Overlaps overlaps = MaskSets.overlaps(context, List.of(low, middle, high));
 * System.out.println(overlaps.common(0, 2) + " entries are small and large");
 * }</pre>
 */
public final class MaskSets {
  private MaskSets() {}

  /** Set operations of {@link #combine}. */
  public enum Operation {
    /** Entries in at least one mask. */
    UNION(Constants.MASK_UNION),
    /** Entries in all masks. */
    INTERSECTION(Constants.MASK_INTERSECTION),
    /** Entries in the first mask and in no other. */
    DIFFERENCE(Constants.MASK_DIFFERENCE),
    /** Entries in an odd number of masks. */
    SYMMETRIC_DIFFERENCE(Constants.MASK_SYMMETRIC_DIFFERENCE),
    /** Entries in no mask. */
    COMPLEMENT(Constants.MASK_COMPLEMENT);

    private final int code;

    Operation(int code) {
      this.code = code;
    }
  }

  /**
   * How masks overlap.
   *
   * @param masks number of masks
   * @param pairs at i · masks + j, the number of entries in both mask i and mask j
   * @param memberships at k, the number of entries in exactly k masks
   */
  public record Overlaps(int masks, long[] pairs, long[] memberships) {
    /** Copies the arrays. */
    public Overlaps {
      if (masks < 0 || pairs.length != (long) masks * masks || memberships.length != masks + 1L) {
        throw new IllegalArgumentException(
            pairs.length
                + " pairs and "
                + memberships.length
                + " memberships of "
                + masks
                + " masks");
      }
      pairs = pairs.clone();
      memberships = memberships.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public long[] pairs() {
      return pairs.clone();
    }

    /** {@return a copy of the array} */
    @Override
    public long[] memberships() {
      return memberships.clone();
    }

    /**
     * {@return the number of entries in both of two masks}
     *
     * @param first index of the first mask
     * @param second index of the second mask
     * @throws IndexOutOfBoundsException if there is no such mask
     */
    public long common(int first, int second) {
      Objects.checkIndex(first, masks);
      Objects.checkIndex(second, masks);
      return pairs[first * masks + second];
    }
  }

  /**
   * Combines masks.
   *
   * @param context context that runs the kernel
   * @param operation set operation
   * @param masks masks of the same shape
   * @return the combined mask
   * @throws IllegalArgumentException if there is no mask, or their shapes differ
   */
  public static Mask combine(Context context, Operation operation, Mask... masks) {
    List<Mask> all = List.of(masks);
    Mask first = firstOf(all);
    int words = first.wordCount();
    try (Context.Call call = context.begin();
        Sets sets = new Sets(context, all, 1 + words)) {
      call.run(
          unused ->
              context
                  .binding()
                  .maskCombine(
                      context.handle(),
                      sets.address,
                      operation.code,
                      sets.results() + 8,
                      words,
                      sets.results()));
      return Mask.copyOf(sets.buffer, sets.resultsAt + 8, first.rows(), first.columns());
    }
  }

  /**
   * Counts the entries that masks share.
   *
   * @param context context that runs the kernel
   * @param masks masks of the same shape
   * @return the counts
   * @throws IllegalArgumentException if there is no mask, or their shapes differ
   */
  public static Overlaps overlaps(Context context, List<Mask> masks) {
    List<Mask> all = List.copyOf(masks);
    int count = all.size();
    int pairs = Sizes.length((long) count * count);
    try (Context.Call call = context.begin();
        Sets sets = new Sets(context, all, (long) pairs + count + 1)) {
      call.run(
          unused ->
              context
                  .binding()
                  .maskOverlaps(
                      context.handle(), sets.address, sets.results(), sets.results() + 8L * pairs));
      return new Overlaps(count, sets.longs(0, pairs), sets.longs(pairs, count + 1));
    }
  }

  private static Mask firstOf(List<Mask> masks) {
    if (masks.isEmpty()) {
      throw new IllegalArgumentException("no masks");
    }
    Mask first = masks.get(0);
    masks.forEach(first::requireShape);
    return first;
  }

  /** A tg_mask_sets, the addresses of the masks, space for results, and the masks. */
  static final class Sets implements AutoCloseable {
    private final NativeBuffer buffer;
    private final long resultsAt;
    private final long address;
    private final Operand.Leases leases = new Operand.Leases();

    /** No masks, with the address 0. */
    private Sets(Context context) {
      buffer = context.allocate(0);
      resultsAt = 0;
      address = 0;
    }

    /** Prepares masks of one shape, and no space for results. There may be none. */
    static Sets of(Context context, List<Mask> masks) {
      return masks.isEmpty() ? new Sets(context) : new Sets(context, masks, 0);
    }

    /** Returns the address of the tg_mask_sets; 0 if there are no masks. */
    long address() {
      return address;
    }

    Sets(Context context, List<Mask> masks, long results) {
      Mask first = firstOf(masks);
      long maskBytes = 8L * first.wordCount();
      resultsAt = Structs.MASK_SETS_SIZEOF + 8L * masks.size();
      long masksAt = resultsAt + 8 * results;
      long bytes = Sizes.sum(masksAt, Sizes.product(maskBytes, masks.size()));
      buffer = context.allocate(bytes);
      address = leases.take(buffer);
      buffer
          .putLong(Structs.MASK_SETS_SIZE, Structs.MASK_SETS_SIZEOF)
          .putLong(Structs.MASK_SETS_MASKS, address + Structs.MASK_SETS_SIZEOF)
          .putLong(Structs.MASK_SETS_COUNT, masks.size())
          .putLong(Structs.MASK_SETS_ROWS, first.rows())
          .putLong(Structs.MASK_SETS_COLUMNS, first.columns());
      for (int i = 0; i < masks.size(); i++) {
        long at = masksAt + maskBytes * i;
        buffer.putLong(Structs.MASK_SETS_SIZEOF + 8L * i, address + at);
        masks.get(i).writeTo(buffer, at);
      }
    }

    long results() {
      return address + resultsAt;
    }

    long[] longs(long begin, int count) {
      return buffer.getLongs(resultsAt + 8 * begin, count);
    }

    @Override
    public void close() {
      leases.close();
      buffer.close();
    }
  }
}
