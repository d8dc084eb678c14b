package org.threegate.kernel;

import java.util.Objects;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Constants;
import org.threegate.spi.Structs;

/**
 * What changed between two runs of elements, bit for bit, and back again ({@code tg_patch_extract},
 * {@code tg_patch_apply} and what belongs to them): a flip of the sign of zero counts, and a NaN is
 * its bits.
 *
 * <pre>{@code
 * ChangedElements.Elements before = new ChangedElements.Elements(buffer, 0, 1000, 2);
 * ChangedElements.Elements after = new ChangedElements.Elements(buffer, 2000, 1000, 2);
 * try (ChangedElements changed = ChangedElements.allocate(context, 1000, 2, ChangedElements.Form.XOR)) {
 *   changed.extract(before, after);
 *   changed.apply(before);
 * }
 * }</pre>
 *
 * <p>One object is a place for entries that is used again and again.
 */
public final class ChangedElements implements AutoCloseable {
  /** What values are. */
  public enum Form {
    /** The new bits. */
    OVERWRITE(Constants.PATCH_OVERWRITE),
    /** The old bits xor the new ones: applied twice it undoes itself. */
    XOR(Constants.PATCH_XOR);

    private final int code;

    Form(int code) {
      this.code = code;
    }
  }

  /**
   * A run of elements.
   *
   * @param offset bytes
   * @param count elements, 2³² at most
   * @param width bytes of each: 1, 2, 4 or 8
   */
  public record Elements(NativeBuffer buffer, long offset, long count, int width) {
    public Elements {
      if (offset < 0
          || count < 0
          || width < 1
          || Math.addExact(offset, Math.multiplyExact(count, width)) > buffer.bytes()) {
        throw new IllegalArgumentException(
            count
                + " elements of "
                + width
                + " bytes at "
                + offset
                + " of "
                + buffer.bytes()
                + " bytes");
      }
    }
  }

  private static final long POSITION_BYTES = 4;

  private final Context context;
  private final int width;
  private final Form form;
  private final long capacity;
  private final NativeBuffer positions;
  private final NativeBuffer values;
  private volatile long count;

  private ChangedElements(
      Context context,
      int width,
      Form form,
      long capacity,
      NativeBuffer positions,
      NativeBuffer values) {
    this.context = context;
    this.width = width;
    this.form = form;
    this.capacity = capacity;
    this.positions = positions;
    this.values = values;
  }

  /**
   * Room for entries.
   *
   * @param width bytes of an element
   */
  public static ChangedElements allocate(Context context, long capacity, int width, Form form) {
    NativeBuffer positions = context.allocate(Math.multiplyExact(capacity, POSITION_BYTES));
    try {
      NativeBuffer values = context.allocate(Math.multiplyExact(capacity, width));
      return new ChangedElements(
          context, width, Objects.requireNonNull(form), capacity, positions, values);
    } catch (RuntimeException | Error e) {
      positions.close();
      throw e;
    }
  }

  /** Entries that there are. */
  public long count() {
    return count;
  }

  /** Says how many there are, where somebody else has written them. */
  public void count(long entries) {
    if (entries < 0 || entries > capacity) {
      throw new IllegalArgumentException(entries + " entries, and room for " + capacity);
    }
    count = entries;
  }

  /** Bytes of an element. */
  public int width() {
    return width;
  }

  /** What values are. */
  public Form form() {
    return form;
  }

  /** Entries that there is room for. */
  public long capacity() {
    return capacity;
  }

  /** Unsigned, 32 bits each, ascending. */
  public NativeBuffer positions() {
    return positions;
  }

  /** As many bytes each as an element has. */
  public NativeBuffer values() {
    return values;
  }

  /**
   * Takes what differs.
   *
   * @return how many entries there are
   * @throws IllegalArgumentException when there is not room for all of them
   */
  public long extract(Elements before, Elements after) {
    return append(before, after, 0, 0);
  }

  /**
   * Takes what differs in a further part, behind the entries that there are.
   *
   * @param first position of the part's first element
   * @return how many entries there are then
   * @throws IllegalArgumentException when there is not room for all of them
   */
  public long append(Elements before, Elements after, long first) {
    return append(before, after, first, count);
  }

  private long append(Elements before, Elements after, long first, long have) {
    requireLike(before);
    requireLike(after);
    if (before.count() != after.count()) {
      throw new IllegalArgumentException(
          before.count() + " elements before, " + after.count() + " after");
    }
    long entriesAt = Structs.PatchPair.SIZEOF;
    long changedAt = entriesAt + Structs.PatchEntries.SIZEOF;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(changedAt + Long.BYTES);
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.take(structs);
      structs
          .putLong(Structs.PatchPair.SIZE, Structs.PatchPair.SIZEOF)
          .putLong(Structs.PatchPair.BEFORE, leases.take(before.buffer()) + before.offset())
          .putLong(Structs.PatchPair.AFTER, leases.take(after.buffer()) + after.offset())
          .putLong(Structs.PatchPair.COUNT, before.count())
          .putLong(Structs.PatchPair.FIRST, first)
          .putInt(Structs.PatchPair.WIDTH, width)
          .putInt(Structs.PatchPair.FORM, form.code);
      entries(structs, entriesAt, have, capacity - have, leases);
      call.run(
          unused ->
              context
                  .binding()
                  .patchExtract(
                      context.handle(), address, address + entriesAt, address + changedAt));
      long changed = structs.getLong(changedAt);
      if (changed > capacity - have) {
        throw new IllegalArgumentException(
            have + changed + " elements changed, and there is room for " + capacity);
      }
      count = have + changed;
      return have + changed;
    }
  }

  private void requireLike(Elements elements) {
    if (elements.width() != width) {
      throw new IllegalArgumentException(
          "elements of " + elements.width() + " bytes, and entries of " + width);
    }
  }

  private void entries(NativeBuffer structs, long at, long from, long many, Operand.Leases leases) {
    structs
        .putLong(at + Structs.PatchEntries.SIZE, Structs.PatchEntries.SIZEOF)
        .putLong(
            at + Structs.PatchEntries.POSITIONS,
            leases.takeOutput(positions) + POSITION_BYTES * from)
        .putLong(at + Structs.PatchEntries.VALUES, leases.takeOutput(values) + width * from)
        .putLong(at + Structs.PatchEntries.COUNT, many)
        .putInt(at + Structs.PatchEntries.WIDTH, width)
        .putInt(at + Structs.PatchEntries.FORM, form.code);
  }

  /**
   * Writes the entries.
   *
   * @throws KernelException when positions do not ascend, or are none of the target's; then nothing
   *     is written
   */
  public void apply(Elements target) {
    requireLike(target);
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(Structs.PatchEntries.SIZEOF);
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.take(structs);
      entries(structs, 0, 0, count, leases);
      long to = leases.takeOutput(target.buffer()) + target.offset();
      call.run(
          unused -> context.binding().patchApply(context.handle(), address, to, target.count()));
    }
  }

  /**
   * Of how many entries, whose values are the new bits, a target has others: 0 where they were
   * applied.
   *
   * @throws KernelException when positions do not ascend, or are none of the target's
   */
  public long differing(Elements target) {
    requireLike(target);
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(Structs.PatchEntries.SIZEOF + Long.BYTES);
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.take(structs);
      entries(structs, 0, 0, count, leases);
      long to = leases.take(target.buffer()) + target.offset();
      call.run(
          unused ->
              context
                  .binding()
                  .patchVerify(
                      context.handle(),
                      address,
                      to,
                      target.count(),
                      address + Structs.PatchEntries.SIZEOF));
      return structs.getLong(Structs.PatchEntries.SIZEOF);
    }
  }

  /**
   * Positions become the numbers of elements between them.
   *
   * @param previous position before the first; −1: none
   */
  public void toGaps(long previous) {
    try (Context.Call call = context.begin();
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.takeOutput(positions);
      call.run(unused -> context.binding().patchGaps(context.handle(), address, count, previous));
    }
  }

  /**
   * And back.
   *
   * @throws KernelException when a position would be 2³² or more
   */
  public void toPositions(long previous) {
    try (Context.Call call = context.begin();
        Operand.Leases leases = new Operand.Leases()) {
      long address = leases.takeOutput(positions);
      call.run(
          unused -> context.binding().patchPositions(context.handle(), address, count, previous));
    }
  }

  /** Elements as planes of bytes of one significance, the lowest first. */
  public static void toPlanes(Context context, Elements from, NativeBuffer to) {
    planes(context, from, to, context.binding()::bytePlanes);
  }

  /**
   * And back.
   *
   * @param from planes, as many bytes as the elements have
   */
  public static void fromPlanes(Context context, Elements from, NativeBuffer to) {
    planes(context, from, to, context.binding()::byteElements);
  }

  private interface Transposition {
    int run(long context, long from, long count, int width, long to);
  }

  private static void planes(
      Context context, Elements from, NativeBuffer to, Transposition transposition) {
    if (to.bytes() / from.width() < from.count()) {
      throw new IllegalArgumentException(
          to.bytes() + " bytes for " + from.count() + " elements of " + from.width());
    }
    try (Context.Call call = context.begin();
        Operand.Leases leases = new Operand.Leases()) {
      long source = leases.take(from.buffer()) + from.offset();
      long target = leases.takeOutput(to);
      call.run(
          unused ->
              transposition.run(context.handle(), source, from.count(), from.width(), target));
    }
  }

  @Override
  public void close() {
    positions.close();
    values.close();
  }
}
