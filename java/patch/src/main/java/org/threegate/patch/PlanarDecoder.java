package org.threegate.patch;

import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/** Reads {@link PatchFormat#PLANAR}. */
final class PlanarDecoder extends TensorDecoder {
  private static final int GAP_PLANES = PlanarEncoder.GAP_PLANES;

  private final Context context;
  private final FrameReader frame;
  private final NativeBuffer planes;

  PlanarDecoder(Context context, Tensor tensor, Tensor stored) {
    super(context, tensor, ChunkLayout.elementBytes(tensor), ChangedElements.Form.XOR);
    this.context = context;
    long elements = ChunkLayout.elements(tensor);
    long chunks = (elements + ChunkLayout.CHUNK - 1) / ChunkLayout.CHUNK;
    long most = Integer.BYTES * chunks + (GAP_PLANES + width()) * elements;
    try {
      frame = new FrameReader(stored, most);
    } catch (RuntimeException e) {
      super.close();
      throw e;
    }
    planes = context.allocate(PlanarEncoder.planeBytes(tensor));
  }

  @Override
  void read(ChangedElements entries, long begin, int all) {
    int count = frame.readInt();
    if (count < 0 || count > all) {
      throw frame.refused(
          "has " + (count & 0xffffffffL) + " entries in a chunk of " + all + " elements");
    }
    fill(GAP_PLANES * count);
    planes.fill((long) GAP_PLANES * count, count, (byte) 0);
    ChangedElements.fromPlanes(
        context, new ChangedElements.Elements(planes, 0, count, 4), entries.positions());
    fill(width() * count);
    ChangedElements.fromPlanes(
        context, new ChangedElements.Elements(planes, 0, count, width()), entries.values());
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
