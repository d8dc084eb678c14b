package org.threegate.patch;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ConcurrentMap;
import java.util.concurrent.ConcurrentSkipListMap;
import java.util.concurrent.atomic.AtomicLong;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.file.AtomicFiles;
import org.threegate.file.OutputLock;
import org.threegate.kernel.ChangedElements;
import org.threegate.kernel.Context;

/**
 * Writes a patch of tensors that are added in any order, by several threads; each is read once, and
 * what becomes of it goes to a file beside the patch first.
 */
final class PatchWriter implements AutoCloseable {
  static final String SHARD = "model-00001-of-00001.safetensors";
  static final String INDEX = "model.safetensors.index.json";
  static final String PLANAR = "threegate-planar-patch";
  static final String SPARSE = "sparse_weight_patch";

  private final WeightPatch.Options options;
  private final Path out;
  private final ConcurrentMap<Thread, PatchEncoder.Place> places = new ConcurrentHashMap<>();
  private final ConcurrentMap<Integer, Added> added = new ConcurrentSkipListMap<>();
  private final AtomicLong elements = new AtomicLong();
  private final SafetensorsWriter writer = new SafetensorsWriter();

  /**
   * A tensor that changes.
   *
   * @param changed elements, or bytes
   * @param before digest of all its bytes before
   * @param after and after
   */
  private record Added(
      Tensor tensor, List<PatchEncoder.Stored> stored, long changed, String before, String after) {}

  private PatchWriter(WeightPatch.Options options, Path out) {
    this.options = options;
    this.out = out;
  }

  /** Adds tensors. */
  @FunctionalInterface
  interface Adding {
    void to(PatchWriter writer) throws IOException;
  }

  /**
   * Writes a patch: it is there when it is complete.
   *
   * @param out a file, or the new directory of a disk delta
   */
  static void write(WeightPatch.Options options, Path out, Adding adding) throws IOException {
    if (WeightPatch.isDirectory(options.format())) {
      AtomicFiles.writeDirectory(
          out, directory -> write(options, directory, directory.resolve(SHARD), adding));
      return;
    }
    write(options, out, out, adding);
  }

  private static void write(WeightPatch.Options options, Path out, Path file, Adding adding)
      throws IOException {
    try (OutputLock held = OutputLock.of(file);
        PatchWriter writer = new PatchWriter(options, held.output())) {
      adding.to(writer);
      writer.finish(out);
    }
  }

  private PatchEncoder.Place open() throws IOException {
    Spool spool = new Spool(out);
    try {
      return new PatchEncoder.Place(spool, new FrameWriter(spool.file()), new Spool(out));
    } catch (IOException | RuntimeException e) {
      spool.close();
      throw e;
    }
  }

  private synchronized PatchEncoder.Place place() throws IOException {
    PatchEncoder.Place own = places.get(Thread.currentThread());
    if (own == null) {
      own = open();
      places.put(Thread.currentThread(), own);
    }
    return own;
  }

  /** A tensor of which nothing changes. */
  void skip(Tensor tensor) {
    elements.addAndGet(Change.elements(tensor));
  }

  /**
   * A tensor, changed or not.
   *
   * @param context of this thread
   * @param index its place among those of the patch
   */
  void add(Context context, int index, Change change) throws IOException {
    Tensor tensor = change.before();
    skip(tensor);
    PatchEncoder.Place place = place();
    long begin = place.spool().position();
    long[] found = {0};
    try (ChecksumFormat.Checksum before = options.checksum().begin(context);
        ChecksumFormat.Checksum after = options.checksum().begin(context);
        PatchEncoder encoder = PatchEncoder.of(context, options, tensor, place)) {
      Change.Visitor<IOException> visitor =
          new Change.Visitor<>() {
            @Override
            public void block(Range old, Range own) {
              before.update(old);
              after.update(own);
            }

            @Override
            public void chunk(long from, int bytes, ChangedElements entries) throws IOException {
              found[0] += entries.count();
              encoder.add(from, bytes, entries);
            }
          };
      change.forEachChunk(context, encoder.width(), encoder.form(), visitor);
      if (found[0] == 0) {
        place.spool().forget(begin);
      } else {
        added.put(index, new Added(tensor, encoder.end(), found[0], before.hex(), after.hex()));
      }
    }
  }

  private void merge() {
    for (Added own : added.values()) {
      own.stored()
          .forEach(
              stored -> writer.tensor(stored.name(), stored.type(), stored.shape(), stored.data()));
      describe(own.tensor(), own.before(), own.after());
    }
  }

  private void describe(Tensor tensor, String before, String after) {
    if (WeightPatch.isDirectory(options.format())) {
      writer.metadata(tensor.name(), after);
      return;
    }
    writer
        .metadata("digest." + tensor.name(), after)
        .metadata("base_digest." + tensor.name(), before)
        .metadata("tensor." + tensor.name(), tensor.type() + tensor.shape().toString());
  }

  /** Writes what was added. */
  private void finish(Path directory) throws IOException {
    merge();
    long changed = added.values().stream().mapToLong(Added::changed).sum();
    long all = elements.get();
    switch (options.format()) {
      case SPARSE -> {
        describe(SPARSE);
        writer
            .metadata("sparse", "true")
            .metadata("model_version", Long.toString(options.version()))
            .metadata("num_changed_params", Integer.toString(added.size()))
            .metadata("total_changed_elements", Long.toString(changed))
            .metadata("total_elements", Long.toString(all))
            .metadata(
                "sparsity",
                String.format(Locale.ROOT, "%.6f", all == 0 ? 1 : 1 - changed / (double) all))
            .metadata("encoding", options.gaps() ? "gaps" : "raw");
        writer.write(out);
      }
      case PLANAR -> {
        describe(PLANAR);
        writer.write(out);
      }
      default -> {
        writer.write(out);
        index(directory);
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

  private void index(Path directory) throws IOException {
    ObjectNode index = new ObjectMapper().createObjectNode();
    index
        .putObject("metadata")
        .put("version", options.version())
        .put("base_version", options.baseVersion())
        .put("delta_encoding", options.format() == PatchFormat.DISK_DELTA_XOR ? "xor" : "overwrite")
        .put("compression_format", "zstd")
        .put("checksum_format", options.checksum().label());
    ObjectNode map = index.putObject("weight_map");
    added.values().forEach(own -> map.put(own.tensor().name(), SHARD));
    ByteBuffer text =
        ByteBuffer.wrap((index.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8));
    AtomicFiles.write(directory.resolve(INDEX), to -> Range.writeFully(to, text));
  }

  @Override
  public void close() throws IOException {
    for (PatchEncoder.Place place : places.values()) {
      place.close();
    }
  }
}
