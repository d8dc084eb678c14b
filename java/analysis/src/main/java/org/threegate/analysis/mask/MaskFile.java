package org.threegate.analysis.mask;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.Json;
import org.threegate.checkpoint.SafetensorsFile;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorType;
import org.threegate.kernel.Context;
import org.threegate.kernel.Mask;
import org.threegate.run.InvalidInputException;

/**
 * Masks of a checkpoint in a safetensors file. Each matrix has a U8 tensor of the same name with
 * shape rows x ceil(columns / 8). Entry (i, j) is bit j mod 8 of byte j / 8 of row i (numpy's
 * {@code unpackbits} with {@code bitorder="little"}). In the metadata, {@code format} is {@code
 * threegate-mask}, {@code shapes} a JSON object of the matrices' shapes, and {@code coverage} one
 * of all stored tensors of the checkpoint, with the reasons why some have no mask. {@code parts}
 * has the places of masks of parts of fused weights: the weight, and {@link
 * org.threegate.checkpoint.Ranges ranges} of its rows and columns.
 *
 * <pre>{@code
 * for (MaskFile.Entry entry : MaskFile.read(context, Path.of("mask.safetensors")).entries()) {
 *   System.out.println(entry.name() + " " + entry.mask().count());
 * }
 * }</pre>
 */
public final class MaskFile {
  /** Value of {@code format} in the metadata. */
  public static final String FORMAT = "threegate-mask";

  private static final int MOST_WORDS = Integer.MAX_VALUE - 8; // limit of Java arrays

  private final Map<String, String> provenance;
  private final List<Entry> entries;
  private final Accounting.Side accounting;
  private final List<Accounting.Note> excluded;

  /**
   * The mask of one matrix.
   *
   * @param name name of the matrix
   * @param mask entries of the matrix in the mask
   */
  public record Entry(String name, Mask mask) {}

  private MaskFile(
      Map<String, String> provenance,
      List<Entry> entries,
      Accounting.Side accounting,
      List<Accounting.Note> excluded) {
    this.provenance = Collections.unmodifiableMap(provenance);
    this.entries = List.copyOf(entries);
    this.accounting = accounting;
    this.excluded = List.copyOf(excluded);
  }

  /** {@return the metadata of the file} */
  public Map<String, String> provenance() {
    return provenance;
  }

  /** {@return the masks, in the order of the file} */
  public List<Entry> entries() {
    return entries;
  }

  /**
   * {@return where each stored tensor of the checkpoint ended; the compared ones have a mask} It is
   * without tensors if the file does not say so.
   */
  public Accounting.Side accounting() {
    return accounting;
  }

  /** {@return matrices and parts of tensors for which no mask is defined, with the reasons} */
  public List<Accounting.Note> excluded() {
    return excluded;
  }

  /**
   * {@return the selected matrices of a checkpoint, each paired with itself, and an account of all
   * stored tensors}
   *
   * @param checkpoint an open checkpoint
   * @param selected selects matrices by name
   * @throws InvalidInputException if there is none
   */
  public static Pairing matrices(Checkpoint checkpoint, Predicate<String> selected) {
    Pairing matrices = Pairing.matrices(checkpoint, selected);
    if (matrices.pairs().isEmpty()) {
      throw new InvalidInputException(checkpoint.path() + ": no matrix to mask");
    }
    return matrices;
  }

  /**
   * Reads masks.
   *
   * @param context context that maps the file
   * @param path path of the mask file
   * @return the masks, which are copied from the file
   * @throws InvalidInputException if the file is not a mask file or is inconsistent
   */
  public static MaskFile read(Context context, Path path) {
    try (SafetensorsFile file = SafetensorsFile.open(context, path)) {
      if (!FORMAT.equals(file.metadata().get("format"))) {
        throw new InvalidInputException(
            path + ": is not a threegate mask file; create one with threegate mask");
      }
      JsonNode shapes = shapes(path, file.metadata().getOrDefault("shapes", ""));
      List<Entry> entries = new ArrayList<>();
      for (Tensor tensor : file.tensors()) {
        entries.add(new Entry(tensor.name(), unpack(path, tensor, shapes.path(tensor.name()))));
      }
      Map<String, String> provenance = new LinkedHashMap<>(file.metadata());
      provenance.remove("shapes");
      provenance.remove("ranks");
      provenance.remove("parts");
      String account = provenance.getOrDefault(MaskAccount.KEY, "{}");
      provenance.remove(MaskAccount.KEY);
      return new MaskFile(
          provenance,
          entries,
          MaskAccount.decode(account, path.toString()),
          MaskAccount.excluded(account, path.toString()));
    }
  }

  private static JsonNode shapes(Path path, String text) {
    try {
      return Json.parseObject(text, path.toString());
    } catch (InvalidInputException e) {
      throw new InvalidInputException(path + ": metadata \"shapes\" is not a JSON object", e);
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
          path,
          tensor,
          "is " + tensor.type() + tensor.shape() + ", which is not a mask of " + shape);
    }
    long perRow = (columns + 63) / 64;
    long bytes = (columns + 7) / 8;
    // Both are at most the size of the file, so nothing overflows.
    if (rows * perRow > MOST_WORDS || bytes > Integer.MAX_VALUE) {
      throw refused(path, tensor, "has more entries than a mask supports: " + shape);
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
        throw refused(path, tensor, "has bits set beyond its columns");
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
