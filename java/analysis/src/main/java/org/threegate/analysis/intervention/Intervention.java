package org.threegate.analysis.intervention;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.threegate.checkpoint.Architecture;
import org.threegate.checkpoint.Checkpoint;
import org.threegate.checkpoint.HeadPart;
import org.threegate.checkpoint.ModelCopy;
import org.threegate.checkpoint.SafetensorsWriter;
import org.threegate.checkpoint.Tensor;
import org.threegate.file.AtomicFiles;

/**
 * Changes the bases of attention heads without changing the function of the model. A finding about
 * directions must not survive this change (arXiv 2511.08567, section 4.3). With rotary position
 * embeddings, values can be rotated, but queries and keys cannot. A model is refused unless all
 * tensors of its attention are known to keep its function.
 *
 * <pre>{@code
 * try (Checkpoint model = Checkpoint.open(context, base)) {
 *   Intervention intervention = new Intervention(model, 7);
 *   System.out.println(intervention.rotateValues(3).storedError());
 *   intervention.write(Path.of("rotated"));
 * }
 * }</pre>
 */
public final class Intervention {
  private static final int PROBES = 4;

  private final Checkpoint model;
  private final long seed;
  private final Map<String, double[]> changed = new LinkedHashMap<>();

  /**
   * The change of the layer's map from inputs to outputs through the values of each head. It is the
   * maximum over heads of ‖(W_o W_v)′x − W_o W_v x‖ / ‖W_o W_v x‖ for random x.
   *
   * @param layer number of the layer, from 0
   * @param exactError error before rounding to the stored dtype (algebra in float64)
   * @param storedError error after rounding to the stored dtype
   */
  public record Check(int layer, double exactError, double storedError) {}

  /**
   * Creates an intervention.
   *
   * @param model model to change
   * @param seed seed of rotations and permutations
   */
  public Intervention(Checkpoint model, long seed) {
    this.model = model;
    this.seed = seed;
  }

  private double[] values(Tensor tensor) {
    return changed.computeIfAbsent(tensor.name(), name -> TensorValues.read(tensor));
  }

  private Random random(int layer, String purpose) {
    return new Random(seed * 0x9e3779b97f4a7c15L + 31L * layer + purpose.hashCode());
  }

  /**
   * Rotates the values of every key-value head of a layer by an independent random orthogonal
   * matrix. Applies the inverse rotation to the columns of the output matrix that belong to its
   * query heads.
   *
   * @param layer number of the layer, from 0
   * @return how much the function of the layer changed
   * @throws org.threegate.run.InvalidInputException if the attention of the layer is not known
   */
  public Check rotateValues(int layer) {
    AttentionLayer attention = AttentionLayer.of(model, layer);
    double[][][] before = probe(attention, false);
    Random random = random(layer, "rotate");
    int group = attention.queries() / attention.keyValues();
    for (int head = 0; head < attention.keyValues(); head++) {
      double[][] rotation = orthogonal(attention.dimension(), random);
      for (AttentionLayer.Part part : attention.parts()) {
        for (Architecture.Head range : part.heads()) {
          if (range.part() == HeadPart.VALUE && range.index() == head) {
            rotateRows(values(part.tensor()), part.columns(), (int) range.begin(), rotation);
          }
        }
      }
      for (int query = head * group; query < (head + 1) * group; query++) {
        rotateColumns(
            values(attention.output()),
            (int) attention.output().columns(),
            query * attention.dimension(),
            rotation);
      }
    }
    return check(attention, before, identity(attention.queries()));
  }

  /**
   * Permutes the key-value heads of a layer at random. Query heads move with their group and are
   * permuted within it.
   *
   * @param layer number of the layer, from 0
   * @return how much the function of the layer changed
   * @throws org.threegate.run.InvalidInputException if the attention of the layer is not known
   */
  public Check permuteHeads(int layer) {
    AttentionLayer attention = AttentionLayer.of(model, layer);
    attention
        .joint()
        .ifPresent(
            norm -> {
              throw norm.refused(
                  "normalizes all heads together, so heads cannot be permuted; values can be rotated");
            });
    double[][][] before = probe(attention, false);
    Random random = random(layer, "permute");
    int group = attention.queries() / attention.keyValues();
    int[] keyValues = permutation(attention.keyValues(), random);
    int[] queries = new int[attention.queries()];
    for (int head = 0; head < attention.keyValues(); head++) {
      int[] within = permutation(group, random);
      for (int i = 0; i < group; i++) {
        queries[head * group + i] = keyValues[head] * group + within[i];
      }
    }
    for (AttentionLayer.Part part : attention.parts()) {
      double[] old = values(part.tensor()).clone();
      for (Architecture.Head range : part.heads()) {
        int[] order = range.part() == HeadPart.QUERY ? queries : keyValues;
        int length = attention.dimension() * part.columns();
        int first = (int) (range.begin() - (long) range.index() * attention.dimension());
        System.arraycopy(
            old,
            (first + order[range.index()] * attention.dimension()) * part.columns(),
            values(part.tensor()),
            (int) range.begin() * part.columns(),
            length);
      }
    }
    double[] old = values(attention.output()).clone();
    int columns = (int) attention.output().columns();
    for (int row = 0; row < attention.output().rows(); row++) {
      for (int query = 0; query < attention.queries(); query++) {
        System.arraycopy(
            old,
            row * columns + queries[query] * attention.dimension(),
            values(attention.output()),
            row * columns + query * attention.dimension(),
            attention.dimension());
      }
    }
    return check(attention, before, queries);
  }

  /**
   * Writes the model to a new directory. Unchanged tensors are copied byte by byte.
   *
   * @param directory path of a directory that does not exist
   * @throws IOException if a file cannot be read or written
   */
  public void write(Path directory) throws IOException {
    write(directory, copy -> {});
  }

  /**
   * Writes the model to a new directory, which appears after a check.
   *
   * @param directory path of a directory that does not exist
   * @param check receives the finished copy under a temporary name; if it throws, nothing is left
   * @throws IOException if a file cannot be read or written
   */
  public void write(Path directory, AtomicFiles.Filling check) throws IOException {
    Map<String, SafetensorsWriter.Data> written = new LinkedHashMap<>();
    changed.forEach(
        (name, values) ->
            written.put(
                name,
                out -> {
                  ByteBuffer bytes =
                      ByteBuffer.wrap(TensorValues.bytes(values, model.tensors().get(name).type()));
                  while (bytes.hasRemaining()) {
                    out.write(bytes);
                  }
                }));
    ModelCopy.write(model, written, directory, check);
  }

  private static int[] identity(int count) {
    return java.util.stream.IntStream.range(0, count).toArray();
  }

  private static int[] permutation(int count, Random random) {
    int[] order = identity(count);
    for (int i = count - 1; i > 0; i--) {
      int j = random.nextInt(i + 1);
      int other = order[i];
      order[i] = order[j];
      order[j] = other;
    }
    return order;
  }

  /**
   * Returns a Haar-distributed orthogonal matrix: an orthonormalized Gaussian matrix, with two
   * passes for full precision.
   */
  private static double[][] orthogonal(int size, Random random) {
    double[][] rows = new double[size][size];
    for (int i = 0; i < size; i++) {
      double[] row = rows[i];
      Arrays.setAll(row, j -> random.nextGaussian());
      for (int pass = 0; pass < 2; pass++) {
        for (int j = 0; j < i; j++) {
          double product = dot(row, rows[j]);
          for (int k = 0; k < size; k++) {
            row[k] -= product * rows[j][k];
          }
        }
      }
      double norm = Math.sqrt(dot(row, row));
      for (int k = 0; k < size; k++) {
        row[k] /= norm;
      }
    }
    return rows;
  }

  private static double dot(double[] one, double[] other) {
    double sum = 0;
    for (int i = 0; i < one.length; i++) {
      sum += one[i] * other[i];
    }
    return sum;
  }

  private static void rotateRows(double[] matrix, int columns, int first, double[][] rotation) {
    double[] old = new double[rotation.length];
    for (int column = 0; column < columns; column++) {
      for (int i = 0; i < old.length; i++) {
        old[i] = matrix[(first + i) * columns + column];
      }
      for (int i = 0; i < old.length; i++) {
        matrix[(first + i) * columns + column] = dot(rotation[i], old);
      }
    }
  }

  /** Computes W Rᵀ row by row. Entry j of a row is its product with row j of R. */
  private static void rotateColumns(double[] matrix, int columns, int first, double[][] rotation) {
    for (int row = 0; row < matrix.length / columns; row++) {
      double[] old =
          Arrays.copyOfRange(
              matrix, row * columns + first, row * columns + first + rotation.length);
      for (int j = 0; j < old.length; j++) {
        matrix[row * columns + first + j] = dot(rotation[j], old);
      }
    }
  }

  /** Computes W_o W_v x for random x, indexed by query head and probe. */
  private double[][][] probe(AttentionLayer attention, boolean rounded) {
    AttentionLayer.Part values =
        attention.parts().stream()
            .filter(part -> part.columns() > 1)
            .filter(part -> part.heads().stream().anyMatch(head -> head.part() == HeadPart.VALUE))
            .findFirst()
            .orElseThrow();
    double[] valueMatrix = rounded(values.tensor(), rounded);
    double[] output = rounded(attention.output(), rounded);
    int outputColumns = (int) attention.output().columns();
    int outputRows = (int) attention.output().rows();
    List<Architecture.Head> heads =
        values.heads().stream().filter(head -> head.part() == HeadPart.VALUE).toList();
    int group = attention.queries() / attention.keyValues();
    double[][][] result = new double[attention.queries()][PROBES][outputRows];
    Random random = random(attention.index(), "probe");
    for (int probe = 0; probe < PROBES; probe++) {
      double[] x = random.doubles(values.columns(), -1, 1).toArray();
      for (int query = 0; query < attention.queries(); query++) {
        double[] middle = new double[attention.dimension()];
        int first = (int) heads.get(query / group).begin();
        for (int i = 0; i < middle.length; i++) {
          for (int j = 0; j < x.length; j++) {
            middle[i] += valueMatrix[(first + i) * values.columns() + j] * x[j];
          }
        }
        for (int row = 0; row < outputRows; row++) {
          double sum = 0;
          for (int i = 0; i < middle.length; i++) {
            sum += output[row * outputColumns + query * attention.dimension() + i] * middle[i];
          }
          result[query][probe][row] = sum;
        }
      }
    }
    return result;
  }

  private double[] rounded(Tensor tensor, boolean rounded) {
    double[] exact = values(tensor);
    return rounded
        ? Arrays.stream(exact).map(value -> TensorValues.round(value, tensor.type())).toArray()
        : exact;
  }

  /** Compares the maps before and after. {@code from[q]} is the former index of query head q. */
  private Check check(AttentionLayer attention, double[][][] before, int[] from) {
    return new Check(
        attention.index(),
        distance(before, probe(attention, false), from),
        distance(before, probe(attention, true), from));
  }

  private static double distance(double[][][] before, double[][][] after, int[] from) {
    double largest = 0;
    for (int query = 0; query < from.length; query++) {
      for (int probe = 0; probe < PROBES; probe++) {
        double[] old = before[from[query]][probe];
        double squares = 0;
        for (int i = 0; i < old.length; i++) {
          double difference = after[query][probe][i] - old[i];
          squares += difference * difference;
        }
        double norm = Math.sqrt(dot(old, old));
        largest = Math.max(largest, norm == 0 ? 0 : Math.sqrt(squares) / norm);
      }
    }
    return largest;
  }
}
