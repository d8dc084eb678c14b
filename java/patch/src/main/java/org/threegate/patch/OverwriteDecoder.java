package org.threegate.patch;

import java.nio.ByteBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * Reads {@link PatchFormat#DISK_DELTA_OVERWRITE}. Two readers of one frame, one for positions and
 * one for values, make it unnecessary to keep either in memory.
 */
final class OverwriteDecoder extends PositionDecoder {
  private static final int BUFFER = 1 << 16;

  private final FrameReader positions;
  private final FrameReader values;
  private final ByteBuffer position = FileIo.littleEndian(BUFFER).limit(0);
  private final ByteBuffer value = FileIo.littleEndian(BUFFER).limit(0);
  private long positionsLeft;
  private long valuesLeft;

  OverwriteDecoder(Context context, Tensor tensor, Tensor stored) {
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
    long held = positions.contentBytes();
    if (count > tensor().bytes() || held != Integer.BYTES + 5 * count) {
      throw refused(
          "has "
              + count
              + " entries in "
              + held
              + " bytes of contents for a tensor of "
              + tensor().bytes()
              + " bytes");
    }
    positionsLeft = count;
    valuesLeft = count;
    values.skip(Integer.BYTES + 4 * count, FileIo.littleEndian(BUFFER));
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
    super.requireEnd();
    values.requireEnd();
  }

  @Override
  public void close() {
    positions.close();
    values.close();
    super.close();
  }
}
