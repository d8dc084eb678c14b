package org.threegate.analysis.measure;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.threegate.checkpoint.InvalidInputException;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Status;

/**
 * Masks of a checkpoint as safetensors: of each matrix a U8 tensor of the same name, rows x
 * ceil(columns / 8), entry (i, j) in bit j mod 8 of byte j / 8 of row i (numpy's {@code unpackbits}
 * with {@code bitorder="little"}). The metadata say what it is of: {@code format} is {@code
 * threegate-mask}, {@code shapes} a JSON object of the matrices' shapes.
 *
 * <pre>{@code
 * for (MaskFile.Entry entry : MaskFile.read(context, Path.of("mask.safetensors")).entries()) {
 *   System.out.println(entry.name() + " " + entry.mask().count());
 * }
 * }</pre>
 */
public final class MaskFile {
  /** What {@code format} says. */
  public static final String FORMAT = "threegate-mask";

  private static final ObjectMapper MAPPER = new ObjectMapper();
  private static final int CHUNK_BYTES = 1 << 20;

  private final Map<String, String> provenance;
  private final List<Entry> entries;

  /** One matrix. */
  public record Entry(String name, Mask mask) {}

  private MaskFile(Map<String, String> provenance, List<Entry> entries) {
    this.provenance = Collections.unmodifiableMap(provenance);
    this.entries = List.copyOf(entries);
  }

  /** The metadata. */
  public Map<String, String> provenance() {
    return provenance;
  }

  public List<Entry> entries() {
    return entries;
  }

  /**
   * Computes masks and writes them, one at a time: the file appears when it is complete.
   *
   * @param pairs matrices, whose bases count
   * @param options rank, tolerance and seed; the first rank and alpha count
   */
  public static void write(
      Context context,
      List<TensorPair> pairs,
      MaskKind kind,
      GeometryOptions options,
      Map<String, String> provenance,
      Path path,
      Progress progress,
      Control control)
      throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", FORMAT);
    provenance.forEach(writer::metadata);
    writer
        .metadata("kind", kind.label())
        .metadata("alpha", Double.toString(options.alphas().get(0)))
        .metadata("seed", Long.toString(options.seed()));
    ObjectNode shapes = MAPPER.createObjectNode();
    ObjectNode ranks = MAPPER.createObjectNode();
    long total = pairs.stream().mapToLong(TensorPair::bytes).sum();
    long done = 0;
    for (TensorPair pair : pairs) {
      long rows = pair.base().rows();
      long columns = pair.base().columns();
      int rank = options.ranksOf(Math.min(rows, columns)).get(0);
      shapes.putArray(pair.name()).add(rows).add(columns);
      ranks.put(pair.name(), rank);
      MaskKind.Request request =
          new MaskKind.Request(
              rank, options.alphas().get(0), options.tolerance(), options.seedOf(pair.name()));
      long before = done;
      writer.tensor(
          pair.name(),
          TensorType.U8,
          List.of(rows, (columns + 7) / 8),
          out -> {
            progress.at(pair.name(), before, total);
            pack(compute(context, pair, kind, request, control), out);
          });
      done += pair.bytes();
    }
    writer.metadata("shapes", shapes.toString());
    if (kind.isSpectral()) {
      writer.metadata("ranks", ranks.toString());
    }
    writer.write(path);
  }

  private static Mask compute(
      Context context, TensorPair pair, MaskKind kind, MaskKind.Request request, Control control) {
    try {
      return kind.of(context, pair.base(), request, control);
    } catch (KernelException e) {
      if (e.status() == Status.CANCELLED) {
        throw new Comparison.CancelledException();
      }
      throw new InvalidInputException(pair.name() + ": " + e.getMessage(), e);
    }
  }

  private static void pack(Mask mask, FileChannel out) throws IOException {
    long perRow = (mask.columns() + 63) / 64;
    int bytes = Math.toIntExact((mask.columns() + 7) / 8);
    ByteBuffer buffer = ByteBuffer.allocate(Math.max(CHUNK_BYTES, bytes));
    for (long row = 0; row < mask.rows(); row++) {
      if (buffer.remaining() < bytes) {
        drain(buffer, out);
      }
      for (int i = 0; i < bytes; i++) {
        buffer.put((byte) (mask.words()[(int) (row * perRow + i / 8)] >>> 8 * (i % 8)));
      }
    }
    drain(buffer, out);
  }

  private static void drain(ByteBuffer buffer, FileChannel out) throws IOException {
    buffer.flip();
    while (buffer.hasRemaining()) {
      out.write(buffer);
    }
    buffer.clear();
  }

  /**
   * Reads masks.
   *
   * @throws InvalidInputException when the file is no mask file or contradicts itself
   */
  public static MaskFile read(Context context, Path path) {
    try (SafetensorsFile file = SafetensorsFile.open(context, path)) {
      if (!FORMAT.equals(file.metadata().get("format"))) {
        throw new InvalidInputException(
            path + ": is no mask file of threegate; make one with threegate mask");
      }
      JsonNode shapes = shapes(path, file.metadata().getOrDefault("shapes", ""));
      List<Entry> entries = new ArrayList<>();
      for (Tensor tensor : file.tensors()) {
        entries.add(new Entry(tensor.name(), unpack(path, tensor, shapes.path(tensor.name()))));
      }
      Map<String, String> provenance = new LinkedHashMap<>(file.metadata());
      provenance.remove("shapes");
      provenance.remove("ranks");
      return new MaskFile(provenance, entries);
    }
  }

  private static JsonNode shapes(Path path, String text) {
    try {
      JsonNode shapes = MAPPER.readTree(text);
      if (shapes != null && shapes.isObject()) {
        return shapes;
      }
    } catch (JsonProcessingException e) {
      throw new InvalidInputException(path + ": metadata \"shapes\" is no JSON object", e);
    }
    throw new InvalidInputException(path + ": metadata \"shapes\" is no JSON object");
  }

  private static Mask unpack(Path path, Tensor tensor, JsonNode shape) {
    long rows = shape.path(0).asLong(-1);
    long columns = shape.path(1).asLong(-1);
    if (tensor.type() != TensorType.U8
        || !tensor.shape().equals(List.of(rows, (columns + 7) / 8))
        || columns < 0) {
      throw new InvalidInputException(
          path
              + ": tensor \""
              + tensor.name()
              + "\" is "
              + tensor.type()
              + tensor.shape()
              + ", which is no mask of "
              + shape);
    }
    long perRow = (columns + 63) / 64;
    int bytes = Math.toIntExact((columns + 7) / 8);
    long[] words = new long[Math.toIntExact(Math.multiplyExact(rows, perRow))];
    for (long row = 0; row < rows; row++) {
      for (int i = 0; i < bytes; i++) {
        long bits = tensor.file().buffer().getByte(tensor.offset() + row * bytes + i) & 0xff;
        words[(int) (row * perRow + i / 8)] |= bits << 8 * (i % 8);
      }
      int rest = (int) (columns % 64);
      if (rest != 0 && words[(int) ((row + 1) * perRow) - 1] >>> rest != 0) {
        throw new InvalidInputException(
            path + ": tensor \"" + tensor.name() + "\" has bits beyond its columns");
      }
    }
    return new Mask(rows, columns, words);
  }
}
