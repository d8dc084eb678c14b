package org.threegate.patch;

import java.nio.ByteBuffer;
import java.util.Optional;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/** What a patch has of one tensor, in the order of its chunks; nothing in it is believed. */
abstract sealed class PatchReader implements AutoCloseable {
  final Context context;
  final Tensor tensor;
  final int width;
  final int most; // elements of a chunk

  private PatchReader(Context context, Tensor tensor, int width) {
    this.context = context;
    this.tensor = tensor;
    this.width = width;
    this.most = (int) Math.min(Change.CHUNK, tensor.bytes() / width);
  }

  static PatchReader open(
      Context context,
      WeightPatch.Options options,
      Tensor tensor,
      Tensor stored,
      Optional<Tensor> positions,
      int width) {
    return switch (options.format()) {
      case DISK_DELTA_XOR -> new Xor(context, tensor, stored);
      case DISK_DELTA_OVERWRITE -> new Overwrite(context, tensor, stored);
      case PLANAR -> new Planar(context, tensor, stored, width);
      case SPARSE ->
          new Sparse(context, tensor, stored, positions.orElseThrow(), options.gaps(), width);
    };
  }

  /**
   * Changes the next chunk.
   *
   * @param begin number of its first element
   */
  abstract void apply(ChangedElements.Elements chunk, long begin);

  /** After the last chunk: there is nothing left. */
  abstract void requireEnd();

  @Override
  public abstract void close();

  /** All bytes, xor-ed. */
  private static final class Xor extends PatchReader {
    private final FrameReader frame;
    private final ByteBuffer part;

    Xor(Context context, Tensor tensor, Tensor stored) {
      super(context, tensor, Change.width(tensor));
      frame = new FrameReader(stored);
      try {
        if (frame.contentBytes() != tensor.bytes()) {
          throw frame.refused(
              "holds " + frame.contentBytes() + " bytes for a tensor of " + tensor.bytes());
        }
      } catch (RuntimeException e) {
        frame.close();
        throw e;
      }
      part = Bytes.little(most * width);
    }

    @Override
    void apply(ChangedElements.Elements chunk, long begin) {
      int bytes = Math.toIntExact(chunk.count() * width);
      frame.read(part.clear().limit(bytes));
      ByteBuffer target = chunk.buffer().slice(0, bytes);
      Bytes.xor(target, part, target);
    }

    @Override
    void requireEnd() {
      frame.requireEnd();
    }

    @Override
    public void close() {
      frame.close();
    }
  }

  /**
   * Entries that come by absolute positions, in any number of them at a time: those of a chunk are
   * gathered, and the kernel checks their order.
   */
  private abstract static sealed class ByPosition extends PatchReader {
    private Optional<ChangedElements> room = Optional.empty();
    private long next = -1;
    private long left;

    ByPosition(Context context, Tensor tensor, int width) {
      super(context, tensor, width);
    }

    /** Before the first chunk; nothing is held when it throws. */
    final void begin(long count) {
      left = count;
      advance();
      room =
          Optional.of(
              ChangedElements.allocate(context, most, width, ChangedElements.Form.OVERWRITE));
    }

    final ChangedElements entries() {
      return room.orElseThrow();
    }

    private void advance() {
      next = left-- > 0 ? nextPosition() : Long.MAX_VALUE;
    }

    abstract long nextPosition();

    /** Copies the next value to an entry. */
    abstract void nextValue(long entry);

    abstract InvalidInputException refused(String why);

    @Override
    final void apply(ChangedElements.Elements chunk, long begin) {
      ChangedElements entries = entries();
      long end = begin + chunk.count();
      long count = 0;
      while (next < end) {
        if (next < begin || count == entries.capacity()) {
          throw refused("has positions that do not ascend");
        }
        entries.positions().putInt(4 * count, (int) (next - begin));
        nextValue(count++);
        advance();
      }
      entries.count(count);
      entries.apply(chunk);
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
    private final ByteBuffer position = Bytes.little(BUFFER).limit(0);
    private final ByteBuffer value = Bytes.little(BUFFER).limit(0);
    private long positionsLeft;
    private long valuesLeft;

    Overwrite(Context context, Tensor tensor, Tensor stored) {
      super(context, tensor, 1);
      positions = new FrameReader(stored);
      values = new FrameReader(stored);
      try {
        begin(count());
      } catch (RuntimeException e) {
        positions.close();
        values.close();
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
      values.skip(Integer.BYTES + 4 * count, Bytes.little(BUFFER));
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
    void nextValue(long entry) {
      if (!value.hasRemaining()) {
        values.read(value.clear().limit((int) Math.min(BUFFER, valuesLeft)));
      }
      valuesLeft--;
      entries().values().putByte(entry, value.get());
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
      entries().close();
    }
  }

  /** Plain tensors. */
  private static final class Sparse extends ByPosition {
    private final Tensor positions;
    private final Tensor values;
    private final boolean gaps;
    private final int positionBytes;
    private long at;
    private long valueAt;
    private long previous = -1;

    Sparse(
        Context context, Tensor tensor, Tensor values, Tensor positions, boolean gaps, int width) {
      super(context, tensor, width);
      this.positions = positions;
      this.values = values;
      this.gaps = gaps;
      TensorType type = positions.type();
      boolean known =
          gaps ? type == TensorType.U16 || type == TensorType.U32 : type == TensorType.I32;
      long count = positions.elements();
      if (!known
          || values.type() != PatchWriter.valueType(tensor)
          || positions.shape().size() != 1
          || !values.shape().equals(positions.shape())
          || count > tensor.bytes() / width) {
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
      positionBytes = type.bits() / 8;
      begin(count);
    }

    @Override
    long nextPosition() {
      NativeBuffer buffer = positions.file().buffer();
      long offset = positions.offset() + positionBytes * at++;
      long number =
          positionBytes == 2
              ? buffer.getShort(offset) & 0xffffL
              : buffer.getInt(offset) & 0xffffffffL;
      previous = gaps ? previous + 1 + number : number;
      return previous;
    }

    @Override
    void nextValue(long entry) {
      NativeBuffer from = values.file().buffer();
      long offset = values.offset() + width * valueAt++;
      switch (width) {
        case 1 -> entries().values().putByte(entry, from.getByte(offset));
        case 2 -> entries().values().putShort(2 * entry, from.getShort(offset));
        case 4 -> entries().values().putInt(4 * entry, from.getInt(offset));
        default -> entries().values().putLong(8 * entry, from.getLong(offset));
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

    @Override
    public void close() {
      entries().close();
    }
  }

  /** Chunk by chunk: how many, planes of gaps, planes of values. */
  private static final class Planar extends PatchReader {
    private final FrameReader frame;
    private final ChangedElements entries;
    private final NativeBuffer planes;

    Planar(Context context, Tensor tensor, Tensor stored, int width) {
      super(context, tensor, width);
      frame = new FrameReader(stored);
      entries = ChangedElements.allocate(context, most, width, ChangedElements.Form.XOR);
      planes = context.allocate(Math.max(1, (long) most * Math.max(4, width)));
    }

    @Override
    void apply(ChangedElements.Elements chunk, long begin) {
      int count = frame.readInt();
      if (count < 0 || count > chunk.count()) {
        throw frame.refused(
            "has " + (count & 0xffffffffL) + " entries for " + chunk.count() + " elements");
      }
      frame.read(planes.slice(0, PatchWriter.GAP_PLANES * count));
      ByteBuffer highest = planes.slice((long) PatchWriter.GAP_PLANES * count, count);
      while (highest.hasRemaining()) {
        highest.put((byte) 0);
      }
      ChangedElements.fromPlanes(
          context, new ChangedElements.Elements(planes, 0, count, 4), entries.positions());
      frame.read(planes.slice(0, width * count));
      ChangedElements.fromPlanes(
          context, new ChangedElements.Elements(planes, 0, count, width), entries.values());
      entries.count(count);
      entries.toPositions(-1);
      entries.apply(chunk);
    }

    @Override
    void requireEnd() {
      frame.requireEnd();
    }

    @Override
    public void close() {
      frame.close();
      entries.close();
      planes.close();
    }
  }
}
