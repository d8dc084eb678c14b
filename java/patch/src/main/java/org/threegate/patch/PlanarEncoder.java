package org.threegate.patch;

import java.io.IOException;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/**
 * Writes {@link PatchFormat#PLANAR}: a frame that has, for each chunk, the number of changed
 * elements, the byte planes of the gaps between them, and the byte planes of the xor-ed values.
 */
final class PlanarEncoder implements TensorEncoder {
  /** Byte planes of a gap, which is below 2<sup>24</sup> within a chunk. */
  static final int GAP_PLANES = 3;

  private final Context context;
  private final Tensor tensor;
  private final int width;
  private final EncoderOutput output;
  private final long begin;
  private final NativeBuffer planes;

  PlanarEncoder(Context context, Tensor tensor, EncoderOutput output) throws IOException {
    this.context = context;
    this.tensor = tensor;
    this.width = ChunkLayout.elementBytes(tensor);
    this.output = output;
    this.begin = output.spool().position();
    this.planes = context.allocate(planeBytes(tensor));
    output.frames().begin();
  }

  /** Returns the bytes of a buffer for the planes of the largest chunk. */
  static long planeBytes(Tensor tensor) {
    int widest = Math.max(Integer.BYTES, ChunkLayout.elementBytes(tensor));
    return Math.max(1, (long) ChunkLayout.largestChunk(tensor) * widest);
  }

  @Override
  public int width() {
    return width;
  }

  @Override
  public ChangedElements.Form form() {
    return ChangedElements.Form.XOR;
  }

  @Override
  public void add(long from, int bytes, ChangedElements found) throws IOException {
    FrameWriter frames = output.frames();
    int entries = Math.toIntExact(found.count());
    frames.putInt(entries);
    found.toGaps(-1);
    ChangedElements.toPlanes(
        context, new ChangedElements.Elements(found.positions(), 0, entries, 4), planes);
    frames.put(Range.first(planes, GAP_PLANES * entries));
    ChangedElements.toPlanes(
        context, new ChangedElements.Elements(found.values(), 0, entries, width), planes);
    frames.put(Range.first(planes, width * entries));
  }

  @Override
  public List<StoredTensor> end() throws IOException {
    return output.endFrame(tensor, begin);
  }

  @Override
  public void close() {
    planes.close();
  }
}
