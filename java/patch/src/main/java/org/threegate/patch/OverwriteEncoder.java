package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.ChangedElements;
import org.threegate.run.InvalidInputException;

/**
 * Writes {@link PatchFormat#DISK_DELTA_OVERWRITE}: a frame of the number of changed bytes, their
 * positions, and the new bytes. The number is known at the end, so entries go to a scratch file
 * first.
 */
final class OverwriteEncoder implements TensorEncoder {
  private static final long MOST_BYTES = 1L << 32; // positions have 32 bits

  private final Tensor tensor;
  private final EncoderOutput output;
  private final long begin;
  private final List<Integer> counts = new ArrayList<>();

  OverwriteEncoder(Tensor tensor, EncoderOutput output) throws IOException {
    this.tensor = tensor;
    this.output = output;
    this.begin = output.spool().position();
  }

  @Override
  public int width() {
    return 1;
  }

  @Override
  public ChangedElements.Form form() {
    return ChangedElements.Form.OVERWRITE;
  }

  @Override
  public void add(long from, int bytes, ChangedElements found) throws IOException {
    if (found.count() == 0) {
      return;
    }
    if (tensor.bytes() >= MOST_BYTES) {
      throw new InvalidInputException(
          "tensor \""
              + tensor.name()
              + "\" has 4 GiB or more, which disk-delta-overwrite cannot address; use"
              + " disk-delta-xor or planar");
    }
    int count = Math.toIntExact(found.count());
    int first = (int) (from * ChunkLayout.elementBytes(tensor));
    try (Range.View view = Range.first(found.positions(), 4L * count).output()) {
      ByteBuffer positions = view.bytes();
      for (int i = 0; i < count && first != 0; i++) {
        positions.putInt(4 * i, positions.getInt(4 * i) + first);
      }
      FileIo.writeFully(output.scratch().file(), positions);
    }
    Range.first(found.values(), count).write(output.scratch().file());
    counts.add(count);
  }

  @Override
  public List<StoredTensor> end() throws IOException {
    long all = counts.stream().mapToLong(Integer::longValue).sum();
    FrameWriter frames = output.frames();
    frames.begin(Integer.BYTES + (Integer.BYTES + 1) * all);
    frames.putInt((int) all);
    copy(0, 4);
    copy(4, 1);
    output.scratch().truncate(0);
    return output.endFrame(tensor, begin);
  }

  /**
   * Copies one column of the entries, positions or values, of all chunks.
   *
   * @param skip bytes of an entry that are stored before the column
   * @param bytes bytes of an entry in the column
   */
  private void copy(int skip, int bytes) throws IOException {
    int most = counts.stream().mapToInt(Integer::intValue).max().orElse(0);
    ByteBuffer part = FileIo.littleEndian(bytes * most);
    long at = 0;
    for (int count : counts) {
      FileIo.readFully(
          output.scratch().file(), at + (long) skip * count, part.clear().limit(bytes * count));
      output.frames().put(part);
      at += (Integer.BYTES + 1L) * count;
    }
  }

  @Override
  public void close() {}
}
