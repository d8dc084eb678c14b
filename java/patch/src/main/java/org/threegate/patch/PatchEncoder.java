package org.threegate.patch;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;
import org.threegate.run.InvalidInputException;

/**
 * Encodes what changes of one tensor, chunk by chunk, in the one pass in which it is found; {@link
 * PatchReader} reads it.
 */
abstract sealed class PatchEncoder implements AutoCloseable {
  static final int GAP_PLANES = 3; // a gap within a chunk is below 2^24
  private static final long MOST_BYTES = 1L << 32; // of a tensor whose bytes have positions

  final Tensor tensor;
  final int width;
  private final ChangedElements.Form form;

  private PatchEncoder(Tensor tensor, int width, ChangedElements.Form form) {
    this.tensor = tensor;
    this.width = width;
    this.form = form;
  }

  /** Where the encoders of one thread write: to the spool what stays until the patch is written. */
  record Place(Spool spool, FrameWriter frames, Spool scratch) implements AutoCloseable {
    @Override
    public void close() throws IOException {
      frames.close();
      scratch.close();
      spool.close();
    }
  }

  /** A tensor of the patch. */
  record Stored(String name, TensorType type, List<Long> shape, SafetensorsWriter.Data data) {}

  static PatchEncoder of(Context context, WeightPatch.Options options, Tensor tensor, Place place)
      throws IOException {
    return switch (options.format()) {
      case DISK_DELTA_XOR -> new Xor(context, tensor, place);
      case DISK_DELTA_OVERWRITE -> new Overwrite(tensor, place);
      case PLANAR -> new Planar(context, tensor, place);
      case SPARSE -> new Sparse(tensor, place, options.gaps());
    };
  }

  /** Of what is compared: elements, or bytes. */
  final int width() {
    return width;
  }

  final ChangedElements.Form form() {
    return form;
  }

  /**
   * The next chunk.
   *
   * @param begin number of its first element
   * @param bytes that it has
   */
  abstract void add(long begin, int bytes, ChangedElements found) throws IOException;

  /** All were added, and there were some: what the patch has of them. */
  abstract List<Stored> end() throws IOException;

  @Override
  public void close() {}

  private static List<Stored> frame(Tensor tensor, Place place, long begin) throws IOException {
    place.frames().end();
    Spool spool = place.spool();
    long bytes = spool.position() - begin;
    return List.of(
        new Stored(
            tensor.name(), TensorType.U8, List.of(bytes), to -> spool.copy(begin, bytes, to)));
  }

  private static void put(FrameWriter frames, Range part) throws IOException {
    try (Range.View view = part.view()) {
      frames.put(view.bytes());
    }
  }

  /** Elements that share bytes are sent as bytes. */
  static TensorType valueType(Tensor tensor) {
    return tensor.type().bits() % 8 == 0 ? tensor.type() : TensorType.U8;
  }

  static ByteBuffer little(int bytes) {
    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** All bytes, old xor new. */
  private static final class Xor extends PatchEncoder {
    private final Place place;
    private final long begin;
    private final NativeBuffer zeros; // between two chunks
    private long unchanged; // bytes at the beginning: most tensors have no others
    private boolean begun;

    Xor(Context context, Tensor tensor, Place place) throws IOException {
      super(tensor, Change.width(tensor), ChangedElements.Form.XOR);
      this.place = place;
      this.begin = place.spool().position();
      int largest = Change.largest(tensor) * width;
      this.zeros = context.allocate(Math.max(1, largest));
      Range.zero(zeros, largest);
    }

    @Override
    void add(long from, int bytes, ChangedElements found) throws IOException {
      if (!begun && found.count() == 0) {
        unchanged += bytes;
        return;
      }
      FrameWriter frames = place.frames();
      if (!begun) {
        begun = true;
        frames.begin(tensor.bytes());
        for (long left = unchanged; left > 0; left -= Math.min(left, zeros.bytes())) {
          put(frames, Range.first(zeros, Math.min(left, zeros.bytes())));
        }
      }
      Range part = Range.first(zeros, bytes);
      found.apply(part.elements(width));
      put(frames, part);
      found.apply(part.elements(width)); // undone
    }

    @Override
    List<Stored> end() throws IOException {
      return frame(tensor, place, begin);
    }

    @Override
    public void close() {
      zeros.close();
    }
  }

  /** Positions of bytes, then bytes, behind their number, which is known at the end. */
  private static final class Overwrite extends PatchEncoder {
    private final Place place;
    private final long begin;
    private final List<Integer> counts = new ArrayList<>();

    Overwrite(Tensor tensor, Place place) throws IOException {
      super(tensor, 1, ChangedElements.Form.OVERWRITE);
      this.place = place;
      this.begin = place.spool().position();
    }

    @Override
    void add(long from, int bytes, ChangedElements found) throws IOException {
      if (found.count() == 0) {
        return;
      }
      if (tensor.bytes() >= MOST_BYTES) {
        throw new InvalidInputException(
            tensor.name() + ": of 4 GiB and more; disk-delta-xor or planar can hold it");
      }
      int count = Math.toIntExact(found.count());
      int first = (int) (from * Change.width(tensor));
      try (Range.View view = Range.first(found.positions(), 4L * count).output()) {
        ByteBuffer positions = view.bytes();
        for (int i = 0; i < count && first != 0; i++) {
          positions.putInt(4 * i, positions.getInt(4 * i) + first);
        }
        Range.writeFully(place.scratch().file(), positions);
      }
      Range.first(found.values(), count).write(place.scratch().file());
      counts.add(count);
    }

    @Override
    List<Stored> end() throws IOException {
      long all = counts.stream().mapToLong(Integer::longValue).sum();
      FrameWriter frames = place.frames();
      frames.begin(Integer.BYTES + (Integer.BYTES + 1) * all);
      frames.putInt((int) all);
      copy(0, 4);
      copy(4, 1);
      place.scratch().forget(0);
      return frame(tensor, place, begin);
    }

    /** Of each entry the bytes behind so many, all at once for all entries of a chunk. */
    private void copy(int behind, int bytes) throws IOException {
      ByteBuffer part = little(bytes * counts.stream().mapToInt(Integer::intValue).max().orElse(0));
      long at = 0;
      for (int count : counts) {
        Range.readFully(
            place.scratch().file(), at + (long) behind * count, part.clear().limit(bytes * count));
        place.frames().put(part);
        at += (Integer.BYTES + 1L) * count;
      }
    }
  }

  /** Chunk by chunk: how many, planes of gaps, planes of values. */
  private static final class Planar extends PatchEncoder {
    private final Context context;
    private final Place place;
    private final long begin;
    private final NativeBuffer planes;

    Planar(Context context, Tensor tensor, Place place) throws IOException {
      super(tensor, Change.width(tensor), ChangedElements.Form.XOR);
      this.place = place;
      this.begin = place.spool().position();
      this.context = context;
      this.planes =
          context.allocate(Math.max(1, (long) Change.largest(tensor) * Math.max(4, width)));
      place.frames().begin(-1);
    }

    @Override
    void add(long from, int bytes, ChangedElements found) throws IOException {
      FrameWriter frames = place.frames();
      int entries = Math.toIntExact(found.count());
      frames.putInt(entries);
      found.toGaps(-1);
      ChangedElements.toPlanes(
          context, new ChangedElements.Elements(found.positions(), 0, entries, 4), planes);
      put(frames, Range.first(planes, GAP_PLANES * entries));
      ChangedElements.toPlanes(
          context, new ChangedElements.Elements(found.values(), 0, entries, width), planes);
      put(frames, Range.first(planes, width * entries));
    }

    @Override
    List<Stored> end() throws IOException {
      return frame(tensor, place, begin);
    }

    @Override
    public void close() {
      planes.close();
    }
  }

  /** Plain tensors of positions and of values. */
  private static final class Sparse extends PatchEncoder {
    private static final int NARROW = 1 << 16;
    private static final int BUFFER = 1 << 16;

    private final Place place;
    private final boolean gaps;
    private final long begin;
    private final List<Part> parts = new ArrayList<>();
    private final ByteBuffer numbers = little(BUFFER);
    private long last = -1;

    /**
     * A chunk in the spool: positions, then values.
     *
     * @param width bytes of a position
     */
    private record Part(int count, int width) {}

    Sparse(Tensor tensor, Place place, boolean gaps) throws IOException {
      super(tensor, Change.width(tensor), ChangedElements.Form.OVERWRITE);
      this.place = place;
      this.gaps = gaps;
      this.begin = place.spool().position();
    }

    @Override
    void add(long from, int bytes, ChangedElements found) throws IOException {
      int count = Math.toIntExact(found.count());
      if (count == 0) {
        return;
      }
      Range range = Range.first(found.positions(), 4L * count);
      int positionBytes;
      try (Range.View view = range.output()) {
        ByteBuffer places = view.bytes();
        long end = from + places.getInt(4 * (count - 1));
        positionBytes = gaps ? toGaps(from, count, found, places) : toPositions(from, end, places);
        last = end;
        places.limit(positionBytes * count);
        Range.writeFully(place.spool().file(), places);
      }
      Range.first(found.values(), (long) width * count).write(place.spool().file());
      parts.add(new Part(count, positionBytes));
    }

    private int toPositions(long from, long end, ByteBuffer places) {
      if (end > Integer.MAX_VALUE) {
        throw new InvalidInputException(
            tensor.name() + ": positions above 2^31; write gaps, or planar");
      }
      for (int at = 0; at < places.limit() && from > 0; at += 4) {
        places.putInt(at, (int) from + places.getInt(at));
      }
      return 4;
    }

    /** As 16 bits each where all of them are so small. */
    private int toGaps(long from, int count, ChangedElements found, ByteBuffer places) {
      long first = from + places.getInt(0) - last - 1;
      if (first > 0xffffffffL) {
        throw new InvalidInputException(
            tensor.name() + ": 2^32 elements and more that stay; write planar");
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
    List<Stored> end() {
      List<Long> shape = List.of(parts.stream().mapToLong(Part::count).sum());
      boolean narrow = gaps && parts.stream().allMatch(part -> part.width() == 2);
      TensorType type = !gaps ? TensorType.I32 : narrow ? TensorType.U16 : TensorType.U32;
      SafetensorsWriter.Data positions =
          to ->
              forEachPart(
                  (at, part) -> {
                    if (part.width() == 4 || narrow) {
                      place.spool().copy(at, (long) part.width() * part.count(), to);
                    } else {
                      widened(at, part.count(), to);
                    }
                  });
      SafetensorsWriter.Data values =
          to ->
              forEachPart(
                  (at, part) ->
                      place
                          .spool()
                          .copy(
                              at + (long) part.width() * part.count(),
                              (long) width * part.count(),
                              to));
      return List.of(
          new Stored(tensor.name() + ".idx", type, shape, positions),
          new Stored(tensor.name() + ".val", valueType(tensor), shape, values));
    }

    private interface Visit {
      void part(long at, Part part) throws IOException;
    }

    private void forEachPart(Visit visit) throws IOException {
      long at = begin;
      for (Part part : parts) {
        visit.part(at, part);
        at += (long) (part.width() + width) * part.count();
      }
    }

    private void widened(long at, int count, FileChannel to) throws IOException {
      int most = BUFFER / 4;
      for (int done = 0; done < count; done += most) {
        int some = Math.min(most, count - done);
        Range.readFully(place.spool().file(), at + 2L * done, numbers.clear().limit(2 * some));
        numbers.limit(4 * some);
        for (int i = some - 1; i >= 0; i--) {
          numbers.putInt(4 * i, numbers.getShort(2 * i) & 0xffff);
        }
        Range.writeFully(to, numbers.position(0));
      }
    }
  }
}
