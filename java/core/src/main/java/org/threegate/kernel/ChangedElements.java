package org.threegate.kernel;

import java.util.Objects;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Constants;
import org.threegate.spi.Structs;

/**
 * Finds the elements that differ between two arrays, bit for bit, and applies such changes ({@code
 * tg_patch_extract}, {@code tg_patch_apply} and related functions). Bits count, not numbers: zeros
 * of different signs differ, and NaNs with the same bits are equal.
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
 * <p>An object holds a list of entries and can be reused.
 */
public final class ChangedElements implements AutoCloseable {
  /** The form of values. */
  public enum Form {
    /** The new bits. */
    OVERWRITE(Constants.PATCH_OVERWRITE),
    /** The old bits xor the new ones. Applying them twice restores the old bits. */
    XOR(Constants.PATCH_XOR);

    private final int code;

    Form(int code) {
      this.code = code;
    }
  }

  /**
   * A contiguous array of elements.
   *
   * @param buffer buffer with the elements
   * @param offset first byte in the buffer
   * @param count number of elements, at most 2³²
   * @param width bytes of an element: 1, 2, 4 or 8
   */
  public record Elements(NativeBuffer buffer, long offset, long count, int width) {
    /** Checks the components. */
    public Elements {
      requireWidth(width);
      if (offset < 0
          || count < 0
          || count > MOST_ELEMENTS
          || Sizes.sum(offset, count * width) > buffer.bytes()) {
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

  /**
   * A contiguous array of elements in a file.
   *
   * @param file file with the elements
   * @param offset position of the first byte
   * @param checksum checksum to which the bytes are added
   */
  public record StoredElements(MappedFile file, long offset, Xxh3 checksum) {}

  private static final long POSITION_BYTES = 4;
  private static final long MOST_ELEMENTS = 1L << 32; // positions have 32 bits

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
   * Allocates an empty list of entries.
   *
   * @param context context that runs the kernel
   * @param capacity largest number of entries, at most 2³²
   * @param width bytes of an element: 1, 2, 4 or 8
   * @param form form of the values
   * @return the list, which the caller closes
   * @throws IllegalArgumentException if there can be no such list
   */
  public static ChangedElements allocate(Context context, long capacity, int width, Form form) {
    Objects.requireNonNull(form);
    requireWidth(width);
    if (capacity < 0 || capacity > MOST_ELEMENTS) {
      throw new IllegalArgumentException(
          "a list of " + capacity + " entries; it can have 0 to " + MOST_ELEMENTS);
    }
    NativeBuffer positions = context.allocate(capacity * POSITION_BYTES);
    try {
      NativeBuffer values = context.allocate(capacity * width);
      return new ChangedElements(context, width, form, capacity, positions, values);
    } catch (RuntimeException | Error e) {
      positions.close();
      throw e;
    }
  }

  private static void requireWidth(int width) {
    if (width != 1 && width != 2 && width != 4 && width != 8) {
      throw new IllegalArgumentException(
          "elements of " + width + " bytes; they can have 1, 2, 4 or 8");
    }
  }

  /** {@return the number of entries} */
  public long count() {
    return count;
  }

  /**
   * Sets the number of entries, after positions and values were written directly.
   *
   * @param entries number of entries
   */
  public void count(long entries) {
    if (entries < 0 || entries > capacity) {
      throw new IllegalArgumentException(entries + " entries exceed the capacity of " + capacity);
    }
    count = entries;
  }

  /** {@return the bytes of an element} */
  public int width() {
    return width;
  }

  /** {@return the form of values} */
  public Form form() {
    return form;
  }

  /** {@return the largest number of entries} */
  public long capacity() {
    return capacity;
  }

  /** {@return the positions: ascending unsigned 32-bit integers} */
  public NativeBuffer positions() {
    return positions;
  }

  /** {@return the values; each has the bytes of an element} */
  public NativeBuffer values() {
    return values;
  }

  /**
   * Replaces the entries by the differences of two arrays.
   *
   * @param before elements before the change
   * @param after elements after the change
   * @return the number of entries
   * @throws IllegalArgumentException if they exceed the capacity
   */
  public long extract(Elements before, Elements after) {
    return append(before, after, 0, 0);
  }

  /**
   * Appends the differences of two arrays, which are a part of larger ones.
   *
   * @param before elements before the change
   * @param after elements after the change
   * @param first position of the part's first element
   * @return the new number of entries
   * @throws IllegalArgumentException if they exceed the capacity
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
    long entriesAt = Structs.PATCH_PAIR_SIZEOF;
    long changedAt = entriesAt + Structs.PATCH_ENTRIES_SIZEOF;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(changedAt + Long.BYTES);
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      structs
          .putLong(Structs.PATCH_PAIR_SIZE, Structs.PATCH_PAIR_SIZEOF)
          .putLong(Structs.PATCH_PAIR_BEFORE, leases.take(before.buffer()) + before.offset())
          .putLong(Structs.PATCH_PAIR_AFTER, leases.take(after.buffer()) + after.offset())
          .putLong(Structs.PATCH_PAIR_COUNT, before.count())
          .putLong(Structs.PATCH_PAIR_FIRST, first)
          .putInt(Structs.PATCH_PAIR_WIDTH, width)
          .putInt(Structs.PATCH_PAIR_FORM, form.code);
      entries(structs, entriesAt, have, capacity - have, leases);
      call.run(
          unused ->
              context
                  .binding()
                  .patchExtract(
                      context.handle(), address, address + entriesAt, address + changedAt));
      return added(have, structs.getLong(changedAt));
    }
  }

  /**
   * Appends the differences of two arrays in files, and adds all their bytes to checksums. Each
   * byte is read once, so entries and checksums are those of the same bytes.
   *
   * @param before elements before the change
   * @param after elements after the change
   * @param elements number of elements of each array
   * @param first position of the first element
   * @return the new number of entries
   * @throws IllegalArgumentException if they exceed the capacity
   * @throws KernelException IO if a file has become shorter or the device fails
   */
  public long append(StoredElements before, StoredElements after, long elements, long first) {
    long entriesAt = Structs.PATCH_FILES_SIZEOF;
    long changedAt = entriesAt + Structs.PATCH_ENTRIES_SIZEOF;
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(changedAt + Long.BYTES);
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      structs
          .putLong(Structs.PATCH_FILES_SIZE, Structs.PATCH_FILES_SIZEOF)
          .putLong(Structs.PATCH_FILES_BEFORE, before.file().handle(leases))
          .putLong(Structs.PATCH_FILES_AFTER, after.file().handle(leases))
          .putLong(Structs.PATCH_FILES_BEFORE_OFFSET, before.offset())
          .putLong(Structs.PATCH_FILES_AFTER_OFFSET, after.offset())
          .putLong(Structs.PATCH_FILES_COUNT, elements)
          .putLong(Structs.PATCH_FILES_FIRST, first)
          .putLong(Structs.PATCH_FILES_BEFORE_STATE, before.checksum().state(leases))
          .putLong(Structs.PATCH_FILES_AFTER_STATE, after.checksum().state(leases))
          .putInt(Structs.PATCH_FILES_WIDTH, width)
          .putInt(Structs.PATCH_FILES_FORM, form.code);
      long have = count;
      entries(structs, entriesAt, have, capacity - have, leases);
      call.run(
          unused ->
              context
                  .binding()
                  .patchExtractFiles(
                      context.handle(), address, address + entriesAt, address + changedAt));
      return added(have, structs.getLong(changedAt));
    }
  }

  /** Counts entries that were appended to {@code have}. */
  private long added(long have, long changed) {
    if (changed > capacity - have) {
      throw new IllegalArgumentException(
          have + changed + " changed elements exceed the capacity of " + capacity);
    }
    count = have + changed;
    return have + changed;
  }

  private void requireLike(Elements elements) {
    if (elements.width() != width) {
      throw new IllegalArgumentException(
          "elements of " + elements.width() + " bytes, and entries of " + width);
    }
  }

  private void entries(NativeBuffer structs, long at, long from, long many, Operand.Leases leases) {
    structs
        .putLong(at + Structs.PATCH_ENTRIES_SIZE, Structs.PATCH_ENTRIES_SIZEOF)
        .putLong(
            at + Structs.PATCH_ENTRIES_POSITIONS,
            leases.takeOutput(positions) + POSITION_BYTES * from)
        .putLong(at + Structs.PATCH_ENTRIES_VALUES, leases.takeOutput(values) + width * from)
        .putLong(at + Structs.PATCH_ENTRIES_COUNT, many)
        .putInt(at + Structs.PATCH_ENTRIES_WIDTH, width)
        .putInt(at + Structs.PATCH_ENTRIES_FORM, form.code);
  }

  /**
   * Applies the entries to an array.
   *
   * @param target array of elements
   * @throws KernelException INVALID_ARGUMENT if positions do not ascend or lie beyond the target;
   *     nothing is written then
   */
  public void apply(Elements target) {
    requireLike(target);
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(Structs.PATCH_ENTRIES_SIZEOF);
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      entries(structs, 0, 0, count, leases);
      long to = leases.takeOutput(target.buffer()) + target.offset();
      call.run(
          unused -> context.binding().patchApply(context.handle(), address, to, target.count()));
    }
  }

  /**
   * Counts the entries whose values differ from a target. The form must be {@link Form#OVERWRITE}.
   *
   * @param target array of elements
   * @return 0 if the entries were applied
   * @throws KernelException INVALID_ARGUMENT if positions do not ascend or lie beyond the target
   */
  public long differing(Elements target) {
    requireLike(target);
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate(Structs.PATCH_ENTRIES_SIZEOF + Long.BYTES);
        Operand.Leases leases = new Operand.Leases(context)) {
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
                      address + Structs.PATCH_ENTRIES_SIZEOF));
      return structs.getLong(Structs.PATCH_ENTRIES_SIZEOF);
    }
  }

  /**
   * Replaces each position by the number of elements between it and the one before.
   *
   * @param previous position before the first one; −1 if there is none
   */
  public void toGaps(long previous) {
    try (Context.Call call = context.begin();
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.takeOutput(positions);
      call.run(unused -> context.binding().patchGaps(context.handle(), address, count, previous));
    }
  }

  /**
   * Replaces gaps by positions.
   *
   * @param previous position before the first one; −1 if there is none
   * @throws KernelException INVALID_ARGUMENT if a position would be 2³² or more
   */
  public void toPositions(long previous) {
    try (Context.Call call = context.begin();
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.takeOutput(positions);
      call.run(
          unused -> context.binding().patchPositions(context.handle(), address, count, previous));
    }
  }

  /**
   * Splits elements into planes of bytes of equal significance, lowest first.
   *
   * @param context context that runs the kernel
   * @param from elements, or planes, to read
   * @param to buffer to fill, at least as large
   */
  public static void toPlanes(Context context, Elements from, NativeBuffer to) {
    planes(context, from, to, context.binding()::bytePlanes);
  }

  /**
   * Joins planes of bytes to elements.
   *
   * @param context context that runs the kernel
   * @param from the planes, with the size of the elements
   * @param to buffer to fill, at least as large
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
        Operand.Leases leases = new Operand.Leases(context)) {
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
