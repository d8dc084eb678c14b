package org.threegate.patch;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.threegate.buffer.NativeBuffer;
import org.threegate.checkpoint.AtomicFiles;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/** Writes a patch, tensor by tensor; what is compressed goes through a file of its own first. */
final class PatchWriter implements AutoCloseable {
  static final String SHARD = "model-00001-of-00001.safetensors";
  static final String INDEX = "model.safetensors.index.json";
  static final String PLANAR = "threegate-planar-patch";
  static final String SPARSE = "sparse_weight_patch";
  static final int GAP_PLANES = 3; // a gap within a chunk is below 2^24
  private static final long MOST_BYTES = 1L << 32; // of a tensor whose bytes have positions

  private final Context context;
  private final WeightPatch.Options options;
  private final Path out;
  private final Path spoolFile;
  private final FileChannel spool;
  private final FrameWriter frames;
  private final SafetensorsWriter writer = new SafetensorsWriter();
  private final Map<String, Tensor> written = new LinkedHashMap<>();
  private long changed;
  private long elements;

  PatchWriter(Context context, WeightPatch.Options options, Path out) throws IOException {
    this.context = context;
    this.options = options;
    this.out = out;
    boolean directory = WeightPatch.isDirectory(options.format());
    if (directory) {
      Files.createDirectories(out);
    }
    this.spoolFile =
        (directory ? out.resolve("spool") : out.toAbsolutePath())
            .resolveSibling(".partial-" + out.getFileName() + "-" + ProcessHandle.current().pid());
    this.spool =
        FileChannel.open(
            spoolFile,
            StandardOpenOption.CREATE,
            StandardOpenOption.TRUNCATE_EXISTING,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE,
            StandardOpenOption.DELETE_ON_CLOSE);
    this.frames = new FrameWriter(spool);
  }

  /** A tensor, changed or not. */
  void add(Change change) throws IOException {
    Tensor tensor = change.after();
    Survey survey = Survey.of(context, change, options.checksum());
    elements += change.after().bytes() / Change.width(tensor);
    if (survey.changed() == 0) {
      return;
    }
    changed += survey.changed();
    written.put(tensor.name(), tensor);
    switch (options.format()) {
      case DISK_DELTA_XOR -> frame(tensor, () -> xor(change));
      case DISK_DELTA_OVERWRITE -> frame(tensor, () -> overwrite(change));
      case PLANAR -> frame(tensor, () -> planar(change));
      case SPARSE -> sparse(change, survey);
    }
    if (options.format() == PatchFormat.SPARSE || options.format() == PatchFormat.PLANAR) {
      writer
          .metadata("digest." + tensor.name(), survey.after())
          .metadata("base_digest." + tensor.name(), survey.before())
          .metadata("tensor." + tensor.name(), tensor.type() + tensor.shape().toString());
    } else {
      writer.metadata(tensor.name(), survey.after());
    }
  }

  private interface Contents {
    void write() throws IOException;
  }

  private void frame(Tensor tensor, Contents contents) throws IOException {
    long begin = spool.position();
    contents.write();
    frames.end();
    long bytes = spool.position() - begin;
    writer.tensor(
        tensor.name(),
        TensorType.U8,
        List.of(bytes),
        to -> {
          for (long at = begin; at < begin + bytes; ) {
            at += spool.transferTo(at, begin + bytes - at, to);
          }
        });
  }

  private void xor(Change change) throws IOException {
    long bytes = change.after().bytes();
    frames.begin(bytes);
    ByteBuffer part = ByteBuffer.allocateDirect((int) Math.min(Change.CHUNK, bytes));
    for (long at = 0; at < bytes; at += part.capacity()) {
      int count = (int) Math.min(part.capacity(), bytes - at);
      part.clear().limit(count);
      Bytes.xor(slice(change.before(), at, count), slice(change.after(), at, count), part);
      frames.put(part.flip());
    }
  }

  static ByteBuffer slice(Tensor tensor, long at, int count) {
    return tensor.file().buffer().slice(tensor.offset() + at, count);
  }

  private void overwrite(Change change) throws IOException {
    if (change.after().bytes() >= MOST_BYTES) {
      throw new InvalidInputException(
          change.after().name() + ": of 4 GiB and more; disk-delta-xor or planar can hold it");
    }
    long[] count = new long[1];
    bytes(change, (begin, all, found) -> count[0] += found.count());
    frames.begin(Integer.BYTES + (Integer.BYTES + 1) * count[0]);
    frames.putInt((int) count[0]);
    bytes(
        change,
        (begin, all, found) -> {
          NativeBuffer positions = found.positions();
          for (long i = 0; i < found.count() && begin > 0; i++) {
            positions.putInt(4 * i, (int) (positions.getInt(4 * i) + begin));
          }
          frames.put(positions.slice(0, Math.toIntExact(4 * found.count())));
        });
    bytes(
        change,
        (begin, all, found) -> frames.put(found.values().slice(0, Math.toIntExact(found.count()))));
  }

  private void bytes(Change change, Change.Visit<IOException> visit) throws IOException {
    change.forEachChunk(context, 1, ChangedElements.Form.OVERWRITE, visit);
  }

  private void planar(Change change) throws IOException {
    int width = Change.width(change.after());
    frames.begin(-1);
    long all = change.after().bytes() / width;
    try (NativeBuffer planes =
        context.allocate(Math.max(1, Math.min(Change.CHUNK, all) * Math.max(4, width)))) {
      change.forEachChunk(
          context,
          width,
          ChangedElements.Form.XOR,
          (begin, count, found) -> {
            int entries = (int) found.count();
            frames.putInt(entries);
            found.toGaps(-1);
            ChangedElements.toPlanes(
                context, new ChangedElements.Elements(found.positions(), 0, entries, 4), planes);
            frames.put(planes.slice(0, GAP_PLANES * entries));
            ChangedElements.toPlanes(
                context, new ChangedElements.Elements(found.values(), 0, entries, width), planes);
            frames.put(planes.slice(0, width * entries));
          });
    }
  }

  /** Positions and values of elements; both are read again when the file is written. */
  private void sparse(Change change, Survey survey) {
    Tensor tensor = change.after();
    int width = Change.width(tensor);
    boolean raw = !options.gaps();
    if (raw && survey.last() > Integer.MAX_VALUE) {
      throw new InvalidInputException(
          tensor.name() + ": positions above 2^31; write gaps, or planar");
    }
    boolean narrow = !raw && survey.widestGap() < 1 << 16;
    TensorType type = raw ? TensorType.I32 : narrow ? TensorType.U16 : TensorType.U32;
    List<Long> shape = List.of(survey.changed());
    writer.tensor(
        tensor.name() + ".idx",
        type,
        shape,
        to -> {
          long[] previous = {-1};
          change.forEachChunk(
              context,
              width,
              ChangedElements.Form.OVERWRITE,
              (begin, count, found) -> {
                ByteBuffer part = Bytes.little(Math.toIntExact(found.count() * (narrow ? 2 : 4)));
                for (long i = 0; i < found.count(); i++) {
                  long position = begin + found.positions().getInt(4 * i);
                  long number = raw ? position : position - previous[0] - 1;
                  previous[0] = position;
                  if (narrow) {
                    part.putShort((short) number);
                  } else {
                    part.putInt((int) number);
                  }
                }
                Bytes.writeFully(to, part.flip());
              });
        });
    writer.tensor(
        tensor.name() + ".val",
        valueType(tensor),
        shape,
        to ->
            change.forEachChunk(
                context,
                width,
                ChangedElements.Form.OVERWRITE,
                (begin, count, found) ->
                    Bytes.writeFully(
                        to, found.values().slice(0, Math.toIntExact(width * found.count())))));
  }

  /** Elements that share bytes are sent as bytes. */
  static TensorType valueType(Tensor tensor) {
    return tensor.type().bits() % 8 == 0 ? tensor.type() : TensorType.U8;
  }

  /** Writes what was added; the index of a directory comes last. */
  void finish() throws IOException {
    switch (options.format()) {
      case SPARSE -> {
        describe(SPARSE);
        writer
            .metadata("sparse", "true")
            .metadata("model_version", Long.toString(options.version()))
            .metadata("num_changed_params", Integer.toString(written.size()))
            .metadata("total_changed_elements", Long.toString(changed))
            .metadata("total_elements", Long.toString(elements))
            .metadata(
                "sparsity",
                String.format(
                    Locale.ROOT, "%.6f", elements == 0 ? 1 : 1 - changed / (double) elements))
            .metadata("encoding", options.gaps() ? "gaps" : "raw");
        writer.write(out);
      }
      case PLANAR -> {
        describe(PLANAR);
        writer.write(out);
      }
      default -> {
        writer.write(out.resolve(SHARD));
        index();
      }
    }
  }

  private void describe(String format) {
    writer
        .metadata("format", format)
        .metadata("version", Long.toString(options.version()))
        .metadata("base_version", Long.toString(options.baseVersion()))
        .metadata("checksum_format", options.checksum().label());
  }

  private void index() throws IOException {
    ObjectNode index = new ObjectMapper().createObjectNode();
    index
        .putObject("metadata")
        .put("version", options.version())
        .put("base_version", options.baseVersion())
        .put("delta_encoding", options.format() == PatchFormat.DISK_DELTA_XOR ? "xor" : "overwrite")
        .put("compression_format", "zstd")
        .put("checksum_format", options.checksum().label());
    ObjectNode map = index.putObject("weight_map");
    written.keySet().forEach(name -> map.put(name, SHARD));
    ByteBuffer text =
        ByteBuffer.wrap((index.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8));
    AtomicFiles.write(out.resolve(INDEX), to -> Bytes.writeFully(to, text));
  }

  @Override
  public void close() throws IOException {
    frames.close();
    spool.close();
  }
}
