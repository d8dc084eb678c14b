package org.threegate.checkpoint.weight;

import java.nio.ByteBuffer;
import java.util.List;
import java.util.Set;
import org.threegate.checkpoint.Tensor;
import org.threegate.checkpoint.TensorParts;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/**
 * A weight of a model as its layers use it.
 *
 * @param name name in the model, without the suffix of a quantized layout
 * @param shape dimensions; empty for a scalar
 * @param storedAs how the entries are stored: a dtype, or the name of a quantized layout
 * @param entries the entries as a matrix: the last dimension is that of the columns; weights of
 *     four or more dimensions have a row for each index of the first dimension
 * @param sources the tensors that the entries are read from
 */
public record Weight(
    String name, List<Long> shape, String storedAs, Values entries, List<Tensor> sources) {
  private static final Set<String> FLOATS = Set.of("F64", "F32", "F16", "BF16");

  /** Copies the lists. */
  public Weight {
    shape = List.copyOf(shape);
    sources = List.copyOf(sources);
  }

  /**
   * {@return a weight whose entries are those of a floating-point tensor}
   *
   * @param tensor tensor of a dtype that kernels support
   */
  public static Weight of(Tensor tensor) {
    long rows = Shapes.rows(tensor.shape());
    long columns = Shapes.columns(tensor.shape());
    Matrix matrix =
        Matrix.of(tensor.file().buffer(), tensor.type().dtype().orElseThrow(), rows, columns)
            .at(tensor.offset());
    return new Weight(
        tensor.name(),
        tensor.shape(),
        tensor.type().name(),
        new Values.Stored(Operand.of(matrix)),
        List.of(tensor));
  }

  /** Returns a weight whose entries lie in pieces. */
  static Weight of(TensorParts whole) {
    List<Long> shape = whole.shape();
    return new Weight(
        whole.name(),
        shape,
        whole.type().name(),
        new Values.Joined(Shapes.rows(shape), Shapes.columns(shape), whole, 0),
        whole.parts());
  }

  /** {@return the number of entries} */
  public long elements() {
    return shape.stream().reduce(1L, Math::multiplyExact);
  }

  /** {@return whether the entries are floating-point numbers as they are stored, without scales} */
  public boolean isPlain() {
    return entries instanceof Values.Joined
        || entries instanceof Values.Stored stored && stored.operand().blockScale().isEmpty();
  }

  /**
   * {@return the stored bytes of some entries of a plain weight}
   *
   * @param first index of the first entry, in the order of the indexes
   * @param count number of entries
   * @throws IllegalStateException if the weight is not plain
   */
  public byte[] stored(long first, int count) {
    int entry = sources.get(0).type().bits() / Byte.SIZE;
    if (entries instanceof Values.Joined joined) {
      ByteBuffer bytes = ByteBuffer.allocate(count * entry);
      joined
          .whole()
          .copy(
              joined.first() + first,
              count,
              (offset, part) -> bytes.position((int) offset).put(part));
      return bytes.array();
    }
    if (isPlain() && entries instanceof Values.Stored stored) {
      Matrix matrix = stored.operand().values();
      return matrix.buffer().getBytes(matrix.offset() + first * entry, (long) count * entry);
    }
    throw new IllegalStateException(name + " is not plain");
  }

  /**
   * {@return whether a way to store entries is a quantized one}
   *
   * @param storedAs a dtype, or the name of a quantized layout, as {@link #storedAs} has it
   */
  public static boolean isQuantized(String storedAs) {
    return FLOATS.stream().noneMatch(storedAs::startsWith);
  }

  /**
   * {@return the matrix at an index of the first of three dimensions}
   *
   * @param index index of the first dimension
   */
  public Values slice(long index) {
    long rows = shape.get(1);
    return entries.rows(index * rows, (index + 1) * rows);
  }
}
