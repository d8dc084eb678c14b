package org.threegate.patch;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/** Reads {@link PatchFormat#SPARSE}. */
final class SparseDecoder extends PositionDecoder {
  private static final int PART = 1 << 16;

  private final Tensor positions;
  private final Tensor values;
  private final boolean gaps;
  private final int positionBytes;
  private final ByteBuffer somePositions = part();
  private final ByteBuffer someValues = part();
  private long at;
  private long valueAt;
  private long previous = -1;

  SparseDecoder(Context context, Tensor tensor, TensorPatch patch, PositionEncoding encoding) {
    super(context, tensor, ChunkLayout.elementBytes(tensor));
    this.positions = patch.positions().orElseThrow();
    this.values = patch.stored();
    this.gaps = encoding == PositionEncoding.GAPS;
    this.positionBytes = positions.type().bits() / 8;
    if (!fits()) {
      close();
      throw refused(
          "and its positions are "
              + values.type()
              + values.shape()
              + " and "
              + positions.type()
              + positions.shape()
              + ", which does not fit a tensor of "
              + tensor.type()
              + tensor.shape());
    }
    begin(positions.elements());
  }

  private boolean fits() {
    TensorType type = positions.type();
    boolean known =
        gaps ? type == TensorType.U16 || type == TensorType.U32 : type == TensorType.I32;
    return known
        && values.type() == ChunkLayout.elementType(tensor())
        && positions.shape().size() == 1
        && values.shape().equals(positions.shape())
        && positions.elements() <= ChunkLayout.elements(tensor());
  }

  private static ByteBuffer part() {
    return ByteBuffer.allocate(PART).order(ByteOrder.LITTLE_ENDIAN).limit(0);
  }

  /** Reads the bytes of a tensor from {@code from} on, if a buffer is empty. */
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
    refill(someValues, values, width() * valueAt++);
    switch (width()) {
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
}
