package org.threegate.analysis.mask;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.threegate.analysis.geometry.GeometryOptions;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Json;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Status;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

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

  private static final int MOST_WORDS = Integer.MAX_VALUE - 8; // of a Java array

  private static final ObjectMapper MAPPER = new ObjectMapper();

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
   * The matrices of a checkpoint that masks are made of.
   *
   * @throws InvalidInputException when there is none
   */
  public static List<TensorPair> matrices(Checkpoint checkpoint, Predicate<String> selected) {
    List<TensorPair> matrices =
        Pairing.of(checkpoint, checkpoint, selected).pairs().stream()
            .filter(pair -> pair.dimensions() >= 2)
            .filter(pair -> pair.base().rows() > 0 && pair.base().columns() > 0)
            .toList();
    if (matrices.isEmpty()) {
      throw new InvalidInputException(checkpoint.path() + ": no matrix to mask");
    }
    return matrices;
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
    Map<String, TensorPair> byName = new HashMap<>();
    pairs.forEach(pair -> byName.put(pair.name(), pair));
    long total = pairs.stream().mapToLong(TensorPair::bytes).sum();
    long[] done = {0};
    write(
        pairs,
        kind,
        options,
        provenance,
        path,
        (name, out) -> {
          TensorPair pair = byName.get(name);
          progress.at(name, done[0], total);
          out.put(of(context, pair, kind, options, control));
          done[0] += pair.bytes();
        });
  }

  /** Where masks come from that are made elsewhere. */
  @FunctionalInterface
  public interface Masks {
    /** Fills {@code out} with what {@link MaskFile#of} makes of a matrix. */
    void read(String name, ByteBuffer out) throws IOException;
  }

  /** Writes masks, one at a time: the file appears when it is complete. */
  public static void write(
      List<TensorPair> pairs,
      MaskKind kind,
      GeometryOptions options,
      Map<String, String> provenance,
      Path path,
      Masks masks)
      throws IOException {
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", FORMAT);
    provenance.forEach(writer::metadata);
    writer
        .metadata("kind", kind.label())
        .metadata("alpha", Double.toString(options.alphas().get(0)))
        .metadata("seed", Long.toString(options.seed()));
    ObjectNode shapes = MAPPER.createObjectNode();
    ObjectNode ranks = MAPPER.createObjectNode();
    for (TensorPair pair : pairs) {
      long rows = pair.base().rows();
      long columns = pair.base().columns();
      shapes.putArray(pair.name()).add(rows).add(columns);
      ranks.put(pair.name(), rank(pair, options));
      int bytes = Math.toIntExact(Math.multiplyExact(rows, (columns + 7) / 8));
      writer.tensor(
          pair.name(),
          TensorType.U8,
          List.of(rows, (columns + 7) / 8),
          out -> {
            ByteBuffer mask = ByteBuffer.allocate(bytes);
            masks.read(pair.name(), mask);
            mask.flip();
            while (mask.hasRemaining()) {
              out.write(mask);
            }
          });
    }
    writer.metadata("shapes", shapes.toString());
    if (kind.isSpectral()) {
      writer.metadata("ranks", ranks.toString());
    }
    writer.write(path);
  }

  private static int rank(TensorPair pair, GeometryOptions options) {
    return options.ranksOf(Math.min(pair.base().rows(), pair.base().columns())).get(0);
  }

  /**
   * The mask of one matrix, as in a file: rows x ceil(columns / 8) bytes.
   *
   * @param options rank, tolerance and seed; the first rank and alpha count
   */
  public static byte[] of(
      Context context, TensorPair pair, MaskKind kind, GeometryOptions options, Control control) {
    MaskKind.Request request =
        new MaskKind.Request(
            rank(pair, options),
            options.alphas().get(0),
            options.tolerance(),
            options.seedOf(pair.name()));
    try {
      return pack(kind.of(context, pair.base(), request, control));
    } catch (KernelException e) {
      if (e.status() == Status.CANCELLED) {
        throw new CancelledException();
      }
      String file =
          pair.sources().stream()
              .findFirst()
              .map(source -> source.file().path() + ": tensor ")
              .orElse("");
      throw new InvalidInputException(file + pair.name() + ": " + e.getMessage(), e);
    }
  }

  private static byte[] pack(Mask mask) {
    long perRow = (mask.columns() + 63) / 64;
    int bytes = Math.toIntExact((mask.columns() + 7) / 8);
    byte[] packed = new byte[Math.toIntExact(Math.multiplyExact(mask.rows(), bytes))];
    for (int row = 0; row < mask.rows(); row++) {
      for (int i = 0; i < bytes; i++) {
        packed[row * bytes + i] =
            (byte) (mask.words()[(int) (row * perRow + i / 8)] >>> 8 * (i % 8));
      }
    }
    return packed;
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
      return Json.parseObject(text, path.toString());
    } catch (InvalidInputException e) {
      throw new InvalidInputException(path + ": metadata \"shapes\" is no JSON object", e);
    }
  }

  private static Mask unpack(Path path, Tensor tensor, JsonNode shape) {
    long rows = side(shape, 0);
    long columns = side(shape, 1);
    if (tensor.type() != TensorType.U8
        || shape.size() != 2
        || rows < 1
        || columns < 1
        || columns > Long.MAX_VALUE - 7
        || !tensor.shape().equals(List.of(rows, (columns + 7) / 8))) {
      throw refused(
          path, tensor, "is " + tensor.type() + tensor.shape() + ", which is no mask of " + shape);
    }
    long perRow = (columns + 63) / 64;
    long bytes = (columns + 7) / 8;
    // Both are at most the bytes of the file: nothing overflows.
    if (rows * perRow > MOST_WORDS || bytes > Integer.MAX_VALUE) {
      throw refused(path, tensor, "has more entries than a mask can: " + shape);
    }
    long[] words = new long[(int) (rows * perRow)];
    for (long row = 0; row < rows; row++) {
      byte[] packed = tensor.file().buffer().getBytes(tensor.offset() + row * bytes, bytes);
      for (int i = 0; i < bytes; i++) {
        long bits = packed[i] & 0xff;
        words[(int) (row * perRow + i / 8)] |= bits << 8 * (i % 8);
      }
      int rest = (int) (columns % 64);
      if (rest != 0 && words[(int) ((row + 1) * perRow) - 1] >>> rest != 0) {
        throw refused(path, tensor, "has bits beyond its columns");
      }
    }
    return new Mask(rows, columns, words);
  }

  private static long side(JsonNode shape, int index) {
    JsonNode side = shape.path(index);
    return side.isIntegralNumber() && side.canConvertToLong() ? side.longValue() : -1;
  }

  private static InvalidInputException refused(Path path, Tensor tensor, String why) {
    return new InvalidInputException(path + ": tensor \"" + tensor.name() + "\" " + why);
  }
}
