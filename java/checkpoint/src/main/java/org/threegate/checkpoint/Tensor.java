package org.threegate.checkpoint;

import java.util.List;
import org.threegate.kernel.MappedFile;
import org.threegate.kernel.Matrix;

/**
 * A tensor of a checkpoint, in its mapped file.
 *
 * @param offset of its first byte in the file
 */
public record Tensor(String name, TensorType type, List<Long> shape, MappedFile file, long offset) {
  public Tensor {
    shape = List.copyOf(shape);
  }

  public long elements() {
    return shape.stream().reduce(1L, Math::multiplyExact);
  }

  public long bytes() {
    return elements() * type.bits() / 8;
  }

  /**
   * Rows and columns of the tensor as one matrix: a vector is one row, trailing dimensions are
   * joined.
   */
  public long rows() {
    return shape.size() < 2 ? 1 : shape.get(0);
  }

  /** See {@link #rows()}. */
  public long columns() {
    return rows() == 0
        ? shape.stream().skip(1).reduce(1L, Math::multiplyExact)
        : elements() / rows();
  }

  /**
   * The tensor as one matrix.
   *
   * @throws IllegalStateException for a type that the kernels do not know
   */
  public Matrix matrix() {
    return Matrix.of(file.buffer(), offset, type.dtype().orElseThrow(), rows(), columns());
  }

  /** Slice {@code index} along the first of three dimensions. */
  public Matrix slice(long index) {
    long rows = shape.get(1);
    long columns = shape.get(2);
    return Matrix.of(
        file.buffer(),
        offset + index * rows * columns * type.bits() / 8,
        type.dtype().orElseThrow(),
        rows,
        columns);
  }
}
