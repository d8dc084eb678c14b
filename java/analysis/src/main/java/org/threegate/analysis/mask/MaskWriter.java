package org.threegate.analysis.mask;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.threegate.analysis.pairing.Pairing;
import org.threegate.analysis.pairing.TensorPair;
import org.threegate.analysis.pairing.WeightPair;
import org.threegate.analysis.statistics.Accounting;
import org.threegate.checkpoint.Ranges;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.TensorType;
import org.threegate.checkpoint.weight.Zeros;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Mask;
import org.threegate.kernel.Status;
import org.threegate.run.CancelledException;
import org.threegate.run.InvalidInputException;
import org.threegate.run.Progress;

/**
 * Writes a {@link MaskFile}, one mask at a time. The file is created atomically once it is
 * complete.
 *
 * <pre>{@code
 * MaskOptions options = new MaskOptions(MaskKind.SAFE, GeometryOptions.DEFAULT);
 * try (Checkpoint before = Checkpoint.open(context, base)) {
 *   new MaskWriter(options, Map.of("made", "by hand"), Path.of("mask.safetensors"))
 *       .compute(context, MaskFile.matrices(before, name -> true), Progress.NONE, control);
 * }
 * }</pre>
 */
public final class MaskWriter {
  /** Why a matrix without an entry other than zero has no mask. */
  private static final String ZERO =
      "all entries are zero, so that none is principal and none is smaller than another";

  private final MaskOptions options;
  private final Map<String, String> provenance;
  private final Path path;

  /**
   * Prepares a file.
   *
   * @param options kind and parameters of the masks
   * @param provenance metadata of the file
   * @param path output file
   */
  public MaskWriter(MaskOptions options, Map<String, String> provenance, Path path) {
    this.options = options;
    this.provenance = provenance;
    this.path = path;
  }

  /** A source of masks that were computed elsewhere. */
  @FunctionalInterface
  public interface Masks {
    /**
     * Fills {@code out} with the bytes that {@link MaskWriter#of} returns for a matrix.
     *
     * @param name name of the matrix
     * @param out buffer with room for exactly the bytes of the mask
     * @throws IOException if the mask cannot be read
     */
    void read(String name, ByteBuffer out) throws IOException;
  }

  /**
   * Computes the masks and writes them.
   *
   * @param context context that runs the kernels
   * @param matrices the matrices, see {@link MaskFile#matrices}; masks are computed from the bases
   * @param progress receives the bytes of the matrices that are done
   * @param control cancels the computation
   * @return matrices for which no mask is defined, and that the file has none of, with the reason
   * @throws IOException if the file cannot be written
   */
  public List<Accounting.Note> compute(
      Context context, Pairing matrices, Progress progress, Control control) throws IOException {
    List<Accounting.Note> excluded = new ArrayList<>();
    for (WeightPair pair : matrices.pairs()) {
      if (options.kind().readsEntries() && Zeros.fill(context, pair.base())) {
        excluded.add(new Accounting.Note(pair.name(), ZERO));
      }
    }
    Map<String, WeightPair> byName = new HashMap<>();
    matrices.pairs().forEach(pair -> byName.put(pair.name(), pair));
    long total = matrices.pairs().stream().mapToLong(WeightPair::bytes).sum();
    long[] done = {0};
    write(
        matrices,
        excluded,
        (name, out) -> {
          WeightPair pair = byName.get(name);
          progress.at(name, done[0], total);
          try (TensorPair opened = pair.open(context)) {
            out.put(of(context, opened, options, control));
          } catch (InvalidInputException e) {
            String file =
                pair.sources().stream()
                    .findFirst()
                    .map(source -> source.file().path() + ": tensor ")
                    .orElse("");
            throw new InvalidInputException(file + e.getMessage(), e);
          }
          done[0] += pair.bytes();
        });
    return excluded;
  }

  /**
   * {@return the matrices for which no mask is defined, with the reason}
   *
   * @param matrices the matrices
   * @param zero names of those that are zero
   */
  public static List<Accounting.Note> excluded(Pairing matrices, Set<String> zero) {
    return matrices.pairs().stream()
        .map(WeightPair::name)
        .filter(zero::contains)
        .map(name -> new Accounting.Note(name, ZERO))
        .toList();
  }

  /**
   * Writes masks that were computed elsewhere.
   *
   * @param matrices the matrices; their names and shapes are written, and which tensors have no
   *     mask
   * @param excluded those of the matrices for which no mask is defined, with the reasons
   * @param masks source of the bits of each other matrix
   * @throws IOException if a mask cannot be read, or the file cannot be written
   * @throws InvalidInputException if all matrices are excluded
   */
  public void write(Pairing matrices, List<Accounting.Note> excluded, Masks masks)
      throws IOException {
    Pairing masked = matrices.excluding(excluded);
    if (masked.pairs().isEmpty()) {
      Accounting.Note first = excluded.get(0);
      throw new InvalidInputException(
          "no matrix has a mask of the kind "
              + options.kind().label()
              + ": "
              + first.tensor()
              + (excluded.size() > 1 ? " and " + (excluded.size() - 1) + " more are" : " is")
              + " zero; select other matrices");
    }
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", MaskFile.FORMAT);
    provenance.forEach(writer::metadata);
    writer
        .metadata("kind", options.kind().label())
        .metadata("alpha", Double.toString(options.alpha()))
        .metadata("seed", Long.toString(options.geometry().seed()));
    ObjectNode shapes = JsonNodeFactory.instance.objectNode();
    ObjectNode ranks = JsonNodeFactory.instance.objectNode();
    ObjectNode parts = JsonNodeFactory.instance.objectNode();
    for (WeightPair pair : masked.pairs()) {
      long rows = pair.rows();
      long columns = pair.columns();
      shapes.putArray(pair.name()).add(rows).add(columns);
      ranks.put(pair.name(), options.rank(rows, columns));
      pair.place()
          .ifPresent(
              place -> {
                ObjectNode part = parts.putObject(pair.name()).put("weight", place.weight());
                add(part.putArray("rows"), place.rows());
                add(part.putArray("columns"), place.columns());
              });
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
    writer
        .metadata("shapes", shapes.toString())
        .metadata(MaskAccount.KEY, MaskAccount.encode(masked.accounting().base(), excluded));
    if (!parts.isEmpty()) {
      writer.metadata("parts", parts.toString());
    }
    if (options.kind().isSpectral()) {
      writer.metadata("ranks", ranks.toString());
    }
    writer.write(path);
  }

  private static void add(ArrayNode array, Ranges ranges) {
    array.add(ranges.begin()).add(ranges.length()).add(ranges.step()).add(ranges.count());
  }

  /**
   * Computes the mask of one matrix.
   *
   * @param context context that runs the kernels
   * @param pair the matrix; the mask is computed from its base
   * @param options kind and size of the mask
   * @param control cancels the computation
   * @return the packed bits as stored in the file, rows x ceil(columns / 8) bytes; nothing if the
   *     matrix is zero, so that no mask is defined
   * @throws InvalidInputException if entries are not finite
   */
  public static byte[] of(Context context, TensorPair pair, MaskOptions options, Control control) {
    if (options.kind().readsEntries() && Zeros.fill(pair.base())) {
      return new byte[0];
    }
    try {
      return pack(options.kind().of(context, pair.base(), options.request(pair), control));
    } catch (KernelException e) {
      if (e.status() == Status.CANCELLED) {
        throw new CancelledException();
      }
      throw new InvalidInputException(
          pair.name() + ": " + e.getMessage() + "; repair the matrix, or leave it out", e);
    }
  }

  private static byte[] pack(Mask mask) {
    long perRow = (mask.columns() + 63) / 64;
    long[] words = mask.words();
    int bytes = Math.toIntExact((mask.columns() + 7) / 8);
    byte[] packed = new byte[Math.toIntExact(Math.multiplyExact(mask.rows(), bytes))];
    for (int row = 0; row < mask.rows(); row++) {
      for (int i = 0; i < bytes; i++) {
        packed[row * bytes + i] = (byte) (words[(int) (row * perRow + i / 8)] >>> 8 * (i % 8));
      }
    }
    return packed;
  }
}
