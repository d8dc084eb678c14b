package org.threegate.patch;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * What a patch has of one tensor, in the order of its chunks, as {@link PatchEncoder} wrote it;
 * nothing in it is believed.
 */
abstract sealed class PatchReader implements AutoCloseable {
  final Tensor tensor;
  final int width;
  private final ChangedElements entries;

  private PatchReader(Context context, Tensor tensor, int width, ChangedElements.Form form) {
    this.tensor = tensor;
    this.width = width;
    long room = (long) Change.largest(tensor) * Change.width(tensor) / width;
    this.entries = ChangedElements.allocate(context, room, width, form);
  }

  static PatchReader open(
      Context context, WeightPatch.Options options, Tensor tensor, WeightPatch.Patched patched) {
    Tensor stored = patched.stored();
    return switch (options.format()) {
      case DISK_DELTA_XOR -> new Xor(context, tensor, stored);
      case DISK_DELTA_OVERWRITE -> new Overwrite(context, tensor, stored);
      case PLANAR -> new Planar(context, tensor, stored);
      case SPARSE ->
          new Sparse(context, tensor, stored, patched.positions().orElseThrow(), options.gaps());
    };
  }

  /** Of what entries are: elements, or bytes. */
  final int width() {
    return width;
  }

  /**
   * What changes of the next chunk; good until the chunk after it. That positions ascend and lie in
   * the chunk is checked where they are applied.
   *
   * @param begin number of its first element
   * @param count of its elements
   */
  final ChangedElements next(long begin, int count) {
    int part = Change.width(tensor) / width;
    read(entries, begin * part, count * part);
    return entries;
  }

  /**
   * @param begin number of the first of its elements, or bytes
   */
  abstract void read(ChangedElements entries, long begin, int count);

  /** After the last chunk: there is nothing left. */
  abstract void requireEnd();

  @Override
  public void close() {
    entries.close();
  }

  /** All bytes, xor-ed. */
  private static final class Xor extends PatchReader {
    private final FrameReader frame;
    private final NativeBuffer part;
    private final NativeBuffer zeros;

    Xor(Context context, Tensor tensor, Tensor stored) {
      super(context, tensor, Change.width(tensor), ChangedElements.Form.XOR);
      int bytes = Change.largest(tensor) * width;
      this.part = context.allocate(Math.max(1, bytes));
      this.zeros = context.allocate(Math.max(1, bytes));
      Range.zero(zeros, bytes);
      try {
        frame = new FrameReader(stored, tensor.bytes());
      } catch (RuntimeException e) {
        release();
        throw e;
      }
      try {
        long held = frame.contentBytes();
        if (held != tensor.bytes()) {
          throw frame.refused("holds " + held + " bytes for a tensor of " + tensor.bytes());
        }
      } catch (RuntimeException e) {
        close();
        throw e;
      }
    }

    @Override
    void read(ChangedElements entries, long begin, int count) {
      Range own = Range.first(part, (long) count * width);
      try (Range.View view = own.output()) {
        frame.read(view.bytes());
      }
      entries.extract(Range.first(zeros, own.bytes()).elements(width), own.elements(width));
    }

    @Override
    void requireEnd() {
      frame.requireEnd();
    }

    private void release() {
      part.close();
      zeros.close();
      super.close();
    }

    @Override
    public void close() {
      frame.close();
      release();
    }
  }

  /** Entries that come by absolute positions, in any number of them at a time. */
  private abstract static sealed class ByPosition extends PatchReader {
    private long next = -1;
    private long left;

    ByPosition(Context context, Tensor tensor, int width) {
      super(context, tensor, width, ChangedElements.Form.OVERWRITE);
    }

    /** Before the first chunk. */
    final void begin(long count) {
      left = count;
      advance();
    }

    private void advance() {
      next = left-- > 0 ? nextPosition() : Long.MAX_VALUE;
    }

    abstract long nextPosition();

    /** Copies the next value to an entry, which lies at the buffer's position. */
    abstract void nextValue(ByteBuffer values);

    abstract InvalidInputException refused(String why);

    @Override
    final void read(ChangedElements entries, long begin, int all) {
      long end = begin + all;
      long count = 0;
      try (Range.View positions = all(entries.positions());
          Range.View values = all(entries.values())) {
        while (next < end) {
          if (next < begin || count == entries.capacity()) {
            throw refused("has positions that do not ascend");
          }
          positions.bytes().putInt((int) (next - begin));
          nextValue(values.bytes());
          count++;
          advance();
        }
      }
      entries.count(count);
    }

    private static Range.View all(NativeBuffer buffer) {
      return Range.first(buffer, buffer.bytes()).output();
    }

    final void requireNone() {
      if (next != Long.MAX_VALUE) {
        throw refused("has positions beyond its end");
      }
    }
  }

  /** Positions of bytes, then bytes: two readers of one frame, so that neither is kept. */
  private static final class Overwrite extends ByPosition {
    private static final int BUFFER = 1 << 16;

    private final FrameReader positions;
    private final FrameReader values;
    private final ByteBuffer position = PatchEncoder.little(BUFFER).limit(0);
    private final ByteBuffer value = PatchEncoder.little(BUFFER).limit(0);
    private long positionsLeft;
    private long valuesLeft;

    Overwrite(Context context, Tensor tensor, Tensor stored) {
      super(context, tensor, 1);
      long most = Integer.BYTES + (Integer.BYTES + 1) * tensor.bytes();
      try {
        positions = new FrameReader(stored, most);
      } catch (RuntimeException e) {
        super.close();
        throw e;
      }
      values = new FrameReader(stored, most);
      try {
        begin(count());
      } catch (RuntimeException e) {
        close();
        throw e;
      }
    }

    private long count() {
      long count = positions.readInt() & 0xffffffffL;
      if (count > tensor.bytes() || positions.contentBytes() != Integer.BYTES + 5 * count) {
        throw refused(
            "has "
                + count
                + " entries in "
                + positions.contentBytes()
                + " bytes for a tensor of "
                + tensor.bytes());
      }
      positionsLeft = count;
      valuesLeft = count;
      values.skip(Integer.BYTES + 4 * count, PatchEncoder.little(BUFFER));
      return count;
    }

    @Override
    long nextPosition() {
      if (!position.hasRemaining()) {
        positions.read(position.clear().limit((int) Math.min(BUFFER, 4 * positionsLeft)));
      }
      positionsLeft--;
      return position.getInt() & 0xffffffffL;
    }

    @Override
    void nextValue(ByteBuffer to) {
      if (!value.hasRemaining()) {
        values.read(value.clear().limit((int) Math.min(BUFFER, valuesLeft)));
      }
      valuesLeft--;
      to.put(value.get());
    }

    @Override
    InvalidInputException refused(String why) {
      return positions.refused(why);
    }

    @Override
    void requireEnd() {
      requireNone();
      values.requireEnd();
    }

    @Override
    public void close() {
      positions.close();
      values.close();
      super.close();
    }
  }

  /** Plain tensors. */
  private static final class Sparse extends ByPosition {
    private static final int PART = 1 << 16;

    private final Tensor positions;
    private final Tensor values;
    private final boolean gaps;
    private final int positionBytes;
    private final ByteBuffer somePositions;
    private final ByteBuffer someValues;
    private long at;
    private long valueAt;
    private long previous = -1;

    Sparse(Context context, Tensor tensor, Tensor values, Tensor positions, boolean gaps) {
      super(context, tensor, Change.width(tensor));
      this.positions = positions;
      this.values = values;
      this.gaps = gaps;
      TensorType type = positions.type();
      this.positionBytes = type.bits() / 8;
      this.somePositions = part();
      this.someValues = part();
      boolean known =
          gaps ? type == TensorType.U16 || type == TensorType.U32 : type == TensorType.I32;
      long count = positions.elements();
      if (!known
          || values.type() != PatchEncoder.valueType(tensor)
          || positions.shape().size() != 1
          || !values.shape().equals(positions.shape())
          || count > Change.elements(tensor)) {
        close();
        throw refused(
            "and its positions are "
                + values.type()
                + values.shape()
                + " and "
                + type
                + positions.shape()
                + ", which fits no "
                + tensor.type()
                + tensor.shape());
      }
      begin(count);
    }

    private static ByteBuffer part() {
      return ByteBuffer.allocate(PART).order(ByteOrder.LITTLE_ENDIAN).limit(0);
    }

    /** A part of a tensor with the byte at {@code from}. */
    private static void refill(ByteBuffer part, Tensor tensor, long from) {
      if (!part.hasRemaining()) {
        part.clear().limit((int) Math.min(PART, tensor.bytes() - from));
        tensor.file().buffer().get(tensor.offset() + from, part);
        part.flip();
      }
    }

    @Override
    long nextPosition() {
      refill(somePositions, positions, positionBytes * at++);
      long number =
          positionBytes == 2
              ? somePositions.getShort() & 0xffffL
              : somePositions.getInt() & 0xffffffffL;
      previous = gaps ? previous + 1 + number : number;
      return previous;
    }

    @Override
    void nextValue(ByteBuffer to) {
      refill(someValues, values, width * valueAt++);
      switch (width) {
        case 1 -> to.put(someValues.get());
        case 2 -> to.putShort(someValues.getShort());
        case 4 -> to.putInt(someValues.getInt());
        default -> to.putLong(someValues.getLong());
      }
    }

    @Override
    InvalidInputException refused(String why) {
      return new InvalidInputException(
          values.file().path() + ": tensor \"" + values.name() + "\" " + why);
    }

    @Override
    void requireEnd() {
      requireNone();
    }
  }

  /** Chunk by chunk: how many, planes of gaps, planes of values. */
  private static final class Planar extends PatchReader {
    private final Context context;
    private final FrameReader frame;
    private final NativeBuffer planes;

    Planar(Context context, Tensor tensor, Tensor stored) {
      super(context, tensor, Change.width(tensor), ChangedElements.Form.XOR);
      this.context = context;
      long elements = Change.elements(tensor);
      long chunks = (elements + Change.CHUNK - 1) / Change.CHUNK;
      long most = Integer.BYTES * chunks + (PatchEncoder.GAP_PLANES + width) * elements;
      try {
        frame = new FrameReader(stored, most);
      } catch (RuntimeException e) {
        super.close();
        throw e;
      }
      planes = context.allocate(Math.max(1, (long) Change.largest(tensor) * Math.max(4, width)));
    }

    @Override
    void read(ChangedElements entries, long begin, int all) {
      int count = frame.readInt();
      if (count < 0 || count > all) {
        throw frame.refused("has " + (count & 0xffffffffL) + " entries for " + all + " elements");
      }
      fill(PatchEncoder.GAP_PLANES * count);
      planes.fill((long) PatchEncoder.GAP_PLANES * count, count, (byte) 0);
      ChangedElements.fromPlanes(
          context, new ChangedElements.Elements(planes, 0, count, 4), entries.positions());
      fill(width * count);
      ChangedElements.fromPlanes(
          context, new ChangedElements.Elements(planes, 0, count, width), entries.values());
      entries.count(count);
      entries.toPositions(-1);
    }

    private void fill(int bytes) {
      try (Range.View view = Range.first(planes, bytes).output()) {
        frame.read(view.bytes());
      }
    }

    @Override
    void requireEnd() {
      frame.requireEnd();
    }

    @Override
    public void close() {
      frame.close();
      planes.close();
      super.close();
    }
  }
}
