package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.WritableByteChannel;
import java.util.ArrayList;
import java.util.List;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.ChangedElements;
import org.threegate.run.InvalidInputException;

/**
 * Writes {@link PatchFormat#SPARSE}: a tensor of positions and a tensor of values. The spool has,
 * for each chunk, its positions and then its values. Gaps get 16 bits where all gaps of a chunk
 * fit, and are widened at the end if another chunk needs 32.
 */
final class SparseEncoder implements TensorEncoder {
  private static final int NARROW = 1 << 16;
  private static final int BUFFER = 1 << 16;

  private final Tensor tensor;
  private final int width;
  private final EncoderOutput output;
  private final boolean gaps;
  private final long begin;
  private final List<Part> parts = new ArrayList<>();
  private final ByteBuffer numbers = FileIo.littleEndian(BUFFER);
  private long last = -1;

  /**
   * A chunk in the spool.
   *
   * @param count entries
   * @param width bytes of a position
   */
  private record Part(int count, int width) {}

  @FunctionalInterface
  private interface PartVisitor {
    /**
     * Visits a part.
     *
     * @param at position of the part in the spool, in bytes
     */
    void part(long at, Part part) throws IOException;
  }

  SparseEncoder(Tensor tensor, EncoderOutput output, PositionEncoding positions)
      throws IOException {
    this.tensor = tensor;
    this.width = ChunkLayout.elementBytes(tensor);
    this.output = output;
    this.gaps = positions == PositionEncoding.GAPS;
    this.begin = output.spool().position();
  }

  @Override
  public int width() {
    return width;
  }

  @Override
  public ChangedElements.Form form() {
    return ChangedElements.Form.OVERWRITE;
  }

  @Override
  public void add(long from, int bytes, ChangedElements found) throws IOException {
    int count = Math.toIntExact(found.count());
    if (count == 0) {
      return;
    }
    int positionBytes;
    try (Range.View view = Range.first(found.positions(), 4L * count).output()) {
      ByteBuffer places = view.bytes();
      long end = from + places.getInt(4 * (count - 1));
      positionBytes = gaps ? toGaps(from, count, found, places) : toPositions(from, end, places);
      last = end;
      places.limit(positionBytes * count);
      FileIo.writeFully(output.spool().file(), places);
    }
    Range.first(found.values(), (long) width * count).write(output.spool().file());
    parts.add(new Part(count, positionBytes));
  }

  /** Makes positions in a chunk flat positions; returns their width in bytes. */
  private int toPositions(long from, long end, ByteBuffer places) {
    if (end > Integer.MAX_VALUE) {
      throw new InvalidInputException(
          "tensor \""
              + tensor.name()
              + "\" has changes at positions above 2^31, which raw positions cannot address; use"
              + " gaps, or the planar format");
    }
    for (int at = 0; at < places.limit() && from > 0; at += 4) {
      places.putInt(at, (int) from + places.getInt(at));
    }
    return 4;
  }

  /** Makes positions in a chunk gaps; returns their width in bytes. */
  private int toGaps(long from, int count, ChangedElements found, ByteBuffer places) {
    long first = from + places.getInt(0) - last - 1;
    if (first > 0xffffffffL) {
      throw new InvalidInputException(
          "tensor \""
              + tensor.name()
              + "\" has 2^32 or more unchanged elements in a row, which gaps cannot express; use"
              + " the planar format");
    }
    found.toGaps(-1);
    places.putInt(0, (int) first);
    long widest = first;
    for (int i = 1; i < count; i++) {
      widest = Math.max(widest, places.getInt(4 * i));
    }
    if (widest >= NARROW) {
      return 4;
    }
    for (int i = 0; i < count; i++) {
      places.putShort(2 * i, (short) places.getInt(4 * i));
    }
    return 2;
  }

  @Override
  public List<StoredTensor> end() {
    List<Long> shape = List.of(parts.stream().mapToLong(Part::count).sum());
    boolean narrow = gaps && parts.stream().allMatch(part -> part.width() == 2);
    TensorType type = !gaps ? TensorType.I32 : narrow ? TensorType.U16 : TensorType.U32;
    SafetensorsWriter.Data positions =
        to ->
            forEachPart(
                (at, part) -> {
                  if (part.width() == 4 || narrow) {
                    output.spool().copy(at, (long) part.width() * part.count(), to);
                  } else {
                    copyWidened(at, part.count(), to);
                  }
                });
    SafetensorsWriter.Data values =
        to ->
            forEachPart(
                (at, part) -> {
                  long first = at + (long) part.width() * part.count();
                  output.spool().copy(first, (long) width * part.count(), to);
                });
    return List.of(
        new StoredTensor(tensor.name() + PatchMetadata.POSITIONS, type, shape, positions),
        new StoredTensor(
            tensor.name() + PatchMetadata.VALUES, ChunkLayout.elementType(tensor), shape, values));
  }

  private void forEachPart(PartVisitor visitor) throws IOException {
    long at = begin;
    for (Part part : parts) {
      visitor.part(at, part);
      at += (long) (part.width() + width) * part.count();
    }
  }

  /** Copies gaps of 16 bits as gaps of 32 bits. */
  private void copyWidened(long at, int count, WritableByteChannel to) throws IOException {
    int most = BUFFER / 4;
    for (int done = 0; done < count; done += most) {
      int some = Math.min(most, count - done);
      FileIo.readFully(output.spool().file(), at + 2L * done, numbers.clear().limit(2 * some));
      numbers.limit(4 * some);
      for (int i = some - 1; i >= 0; i--) {
        numbers.putInt(4 * i, numbers.getShort(2 * i) & 0xffff);
      }
      FileIo.writeFully(to, numbers.position(0));
    }
  }

  @Override
  public void close() {}
}
