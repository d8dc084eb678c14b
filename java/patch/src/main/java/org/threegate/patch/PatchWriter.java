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
import org.threegate.kernel.Context;

/**
 * Writes a patch. Several threads add tensors in any order. Each tensor is read once, and what is
 * encoded goes to temporary files beside the patch, because a header comes before the data.
 */
final class PatchWriter implements AutoCloseable {
  private final PatchOptions options;
  private final Path out;
  private final ConcurrentMap<Thread, EncoderOutput> outputs = new ConcurrentHashMap<>();
  private final ConcurrentMap<Integer, Added> added = new ConcurrentSkipListMap<>();
  private final AtomicLong elements = new AtomicLong();
  private final SafetensorsWriter writer = new SafetensorsWriter();

  /**
   * A tensor that changes.
   *
   * @param changed number of changed elements, or bytes
   * @param before hexadecimal digest of the tensor's bytes before the change
   * @param after hexadecimal digest of the tensor's bytes after the change
   */
  private record Added(
      Tensor tensor, List<StoredTensor> stored, long changed, String before, String after) {}

  /** Adds tensors to a patch. */
  @FunctionalInterface
  interface Contents {
    void addTo(PatchWriter writer) throws IOException;
  }

  private PatchWriter(PatchOptions options, Path out) {
    this.options = options;
    this.out = out;
  }

  /**
   * Writes a patch, which appears when it is complete.
   *
   * @param out a file, or a new directory if {@link PatchFormat#isDirectory}
   */
  static void write(PatchOptions options, Path out, Contents contents) throws IOException {
    if (options.format().isDirectory()) {
      AtomicFiles.writeDirectory(
          out,
          directory -> write(options, directory, directory.resolve(PatchMetadata.SHARD), contents));
      return;
    }
    write(options, out, out, contents);
  }

  private static void write(PatchOptions options, Path out, Path file, Contents contents)
      throws IOException {
    try (OutputLock held = OutputLock.of(file);
        PatchWriter writer = new PatchWriter(options, held.output())) {
      contents.addTo(writer);
      writer.finish(out);
    }
  }

  private synchronized EncoderOutput output() throws IOException {
    EncoderOutput own = outputs.get(Thread.currentThread());
    if (own == null) {
      own = EncoderOutput.open(out);
      outputs.put(Thread.currentThread(), own);
    }
    return own;
  }

  /** Counts a tensor that does not change. */
  void skip(Tensor tensor) {
    elements.addAndGet(ChunkLayout.elements(tensor));
  }

  /**
   * Compares a tensor and adds it if it changes.
   *
   * @param context context of this thread
   * @param index place of the tensor in the patch
   */
  void add(Context context, int index, TensorChange change) throws IOException {
    Tensor tensor = change.before();
    skip(tensor);
    EncoderOutput output = output();
    long begin = output.spool().position();
    long[] found = {0};
    try (TensorChange.Checksums checksums =
            new TensorChange.Checksums(
                options.checksum().begin(context), options.checksum().begin(context));
        TensorEncoder encoder = TensorEncoders.create(context, options, tensor, output)) {
      change.forEachChunk(
          context,
          encoder.width(),
          encoder.form(),
          checksums,
          (from, bytes, entries) -> {
            found[0] += entries.count();
            encoder.add(from, bytes, entries);
          });
      if (found[0] == 0) {
        output.spool().truncate(begin);
      } else {
        added.put(
            index,
            new Added(
                tensor,
                encoder.end(),
                found[0],
                checksums.before().hex(),
                checksums.after().hex()));
      }
    }
  }

  /** Writes the patch of what was added. */
  private void finish(Path directory) throws IOException {
    for (Added own : added.values()) {
      for (StoredTensor stored : own.stored()) {
        writer.tensor(stored.name(), stored.type(), stored.shape(), stored.data());
      }
      describe(own);
    }
    if (options.format().isDirectory()) {
      writer.write(out);
      writeIndex(directory);
      return;
    }
    writer
        .metadata(PatchMetadata.FORMAT, options.format().metadataName())
        .metadata(PatchMetadata.VERSION, Long.toString(options.versions().target()))
        .metadata(PatchMetadata.BASE_VERSION, Long.toString(options.versions().base()))
        .metadata(PatchMetadata.CHECKSUM_FORMAT, options.checksum().label());
    if (options.format() == PatchFormat.SPARSE) {
      describeSparse();
    }
    writer.write(out);
  }

  private void describe(Added own) {
    String name = own.tensor().name();
    if (options.format().isDirectory()) {
      writer.metadata(name, own.after());
      return;
    }
    writer
        .metadata(PatchMetadata.digest(name), own.after())
        .metadata(PatchMetadata.baseDigest(name), own.before())
        .metadata(
            PatchMetadata.description(name), own.tensor().type() + own.tensor().shape().toString());
  }

  private void describeSparse() {
    long changed = added.values().stream().mapToLong(Added::changed).sum();
    long all = elements.get();
    double unchanged = all == 0 ? 1 : 1 - changed / (double) all;
    writer
        .metadata("sparse", "true")
        .metadata(PatchMetadata.MODEL_VERSION, Long.toString(options.versions().target()))
        .metadata("num_changed_params", Integer.toString(added.size()))
        .metadata("total_changed_elements", Long.toString(changed))
        .metadata("total_elements", Long.toString(all))
        .metadata("sparsity", String.format(Locale.ROOT, "%.6f", unchanged))
        .metadata(PatchMetadata.ENCODING, options.positions().label());
  }

  private void writeIndex(Path directory) throws IOException {
    ObjectNode index = new ObjectMapper().createObjectNode();
    index
        .putObject("metadata")
        .put(PatchMetadata.VERSION, options.versions().target())
        .put(PatchMetadata.BASE_VERSION, options.versions().base())
        .put(PatchMetadata.DELTA_ENCODING, options.format().metadataName())
        .put(PatchMetadata.COMPRESSION_FORMAT, PatchMetadata.ZSTD)
        .put(PatchMetadata.CHECKSUM_FORMAT, options.checksum().label());
    ObjectNode map = index.putObject("weight_map");
    added.values().forEach(own -> map.put(own.tensor().name(), PatchMetadata.SHARD));
    ByteBuffer text =
        ByteBuffer.wrap((index.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8));
    AtomicFiles.write(directory.resolve(PatchMetadata.INDEX), to -> FileIo.writeFully(to, text));
  }

  @Override
  public void close() throws IOException {
    for (EncoderOutput output : outputs.values()) {
      output.close();
    }
  }
}
