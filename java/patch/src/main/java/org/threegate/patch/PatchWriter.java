package org.threegate.patch;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.threegate.checkpoint.AtomicFiles;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.kernel.Context;

/**
 * Writes a patch, tensor by tensor, each read once; what it makes of them goes to a file beside it
 * first.
 */
final class PatchWriter implements AutoCloseable {
  static final String SHARD = "model-00001-of-00001.safetensors";
  static final String INDEX = "model.safetensors.index.json";
  static final String PLANAR = "threegate-planar-patch";
  static final String SPARSE = "sparse_weight_patch";

  private final Context context;
  private final WeightPatch.Options options;
  private final Path out;
  private final PatchEncoder.Place place;
  private final SafetensorsWriter writer = new SafetensorsWriter();
  private final List<String> written = new ArrayList<>();
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
    Path beside = directory ? out.resolve("spool") : out.toAbsolutePath();
    String name = ".partial-" + out.getFileName() + "-" + ProcessHandle.current().pid();
    Spool spool = new Spool(beside.resolveSibling(name));
    try {
      this.place =
          new PatchEncoder.Place(
              context,
              spool,
              new FrameWriter(spool.file(), context.threads()),
              new Spool(beside.resolveSibling(name + "-entries")));
    } catch (IOException | RuntimeException e) {
      spool.close();
      throw e;
    }
  }

  /** A tensor of which nothing changes. */
  void skip(Tensor tensor) {
    elements += Change.elements(tensor);
  }

  /** A tensor, changed or not. */
  void add(Change change) throws IOException {
    Tensor tensor = change.before();
    skip(tensor);
    long begin = place.spool().position();
    long[] found = {0};
    try (ChecksumFormat.Checksum before = options.checksum().begin(context);
        ChecksumFormat.Checksum after = options.checksum().begin(context);
        PatchEncoder encoder = PatchEncoder.of(options, tensor, place)) {
      change.<IOException>forEachChunk(
          context,
          encoder.width(),
          encoder.form(),
          (from, old, own, entries) -> {
            ChecksumFormat.update(before, old, after, own);
            found[0] += entries.count();
            encoder.add(from, own.bytes(), entries);
          });
      if (found[0] == 0) {
        place.spool().forget(begin);
        return;
      }
      encoder.end(writer);
      describe(tensor, before.hex(), after.hex());
    }
    changed += found[0];
    written.add(tensor.name());
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
    written.forEach(name -> map.put(name, SHARD));
    ByteBuffer text =
        ByteBuffer.wrap((index.toPrettyString() + "\n").getBytes(StandardCharsets.UTF_8));
    AtomicFiles.write(out.resolve(INDEX), to -> Range.writeFully(to, text));
  }

  @Override
  public void close() throws IOException {
    place.frames().close();
    place.scratch().close();
    place.spool().close();
  }
}
