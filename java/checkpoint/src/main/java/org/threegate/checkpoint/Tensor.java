package org.threegate.checkpoint;

import java.util.List;
import org.threegate.kernel.MappedFile;
import org.threegate.kernel.Matrix;

/**
 * A tensor of a checkpoint, in a mapped file.
 *
 * @param name name of the tensor in the file
 * @param type dtype of the elements
 * @param shape dimensions; empty for a scalar
 * @param file file that contains the tensor
 * @param offset position of the first byte in the file
 */
public record Tensor(String name, TensorType type, List<Long> shape, MappedFile file, long offset) {
  /** Copies the shape. */
  public Tensor {
    shape = List.copyOf(shape);
  }

  /** {@return the number of elements} */
  public long elements() {
    return shape.stream().reduce(1L, Math::multiplyExact);
  }

  /** {@return the size of the tensor in bytes} */
  public long bytes() {
    return elements() * type.bits() / 8;
  }

  /**
   * {@return the number of rows of the tensor as a matrix: the first dimension, or 1 for a vector
   * or a scalar}
   */
  public long rows() {
    return shape.size() < 2 ? 1 : shape.get(0);
  }

  /**
   * {@return the number of columns of the tensor as a matrix: all dimensions but the rows, joined}
   */
  public long columns() {
    return rows() == 0
        ? shape.stream().skip(1).reduce(1L, Math::multiplyExact)
        : elements() / rows();
  }

  /**
   * {@return the tensor as a matrix of {@link #rows} x {@link #columns}}
   *
   * @throws java.util.NoSuchElementException if the kernels do not support the dtype
   */
  public Matrix matrix() {
    return Matrix.of(file.buffer(), type.dtype().orElseThrow(), rows(), columns()).at(offset);
  }

  /**
   * {@return the matrix at an index of the first of three dimensions}
   *
   * @param index index along the first dimension, from 0
   */
  public Matrix slice(long index) {
    long rows = shape.get(1);
    long columns = shape.get(2);
    return Matrix.of(file.buffer(), type.dtype().orElseThrow(), rows, columns)
        .at(offset + index * rows * columns * type.bits() / 8);
  }
}
