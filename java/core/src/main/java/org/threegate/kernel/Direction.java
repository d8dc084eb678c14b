package org.threegate.kernel;

import java.util.List;
import java.util.Optional;

/**
 * A direction in the space of an m x n weight matrix ({@code tg_direction}).
 *
 * <pre>{@code
 * Operand before = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * Operand after = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64).at(8192));
 * Mask low = MaskSelection.smallest(context, before, 2048, control);
 * Direction update = Direction.update(before, after);
 * Direction masked = Direction.update(before, after).within(low);
 * }</pre>
 */
public sealed interface Direction {
  /** {@return the number of rows} */
  long rows();

  /** {@return the number of columns} */
  long columns();

  /**
   * The entries of a matrix, or of a difference of two, within a mask.
   *
   * @param matrix m x n
   * @param subtracted matrix to subtract, of the same shape
   * @param mask entries outside of the mask count as 0
   */
  record Entries(Operand matrix, Optional<Operand> subtracted, Optional<Mask> mask)
      implements Direction {
    /** Checks the components. */
    public Entries {
      subtracted.ifPresent(
          other -> requireShape("what is subtracted", other.rows(), other.columns(), matrix));
      mask.ifPresent(own -> requireShape("the mask", own.rows(), own.columns(), matrix));
    }

    private static void requireShape(String what, long rows, long columns, Operand matrix) {
      if (rows != matrix.rows() || columns != matrix.columns()) {
        throw new IllegalArgumentException(
            what
                + " has "
                + rows
                + " x "
                + columns
                + " entries; the matrix has "
                + matrix.rows()
                + " x "
                + matrix.columns());
      }
    }

    /**
     * {@return the part within a mask}
     *
     * @param other mask of the shape of the matrix
     */
    public Entries within(Mask other) {
      return new Entries(matrix, subtracted, Optional.of(other));
    }

    @Override
    public long rows() {
      return matrix.rows();
    }

    @Override
    public long columns() {
      return matrix.columns();
    }
  }

  /**
   * A sum of low-rank terms. Their product is never formed.
   *
   * @param terms the terms, at least one
   */
  record Factors(List<Operand.LowRank> terms) implements Direction {
    /** Checks the components. */
    public Factors {
      if (terms.isEmpty()) {
        throw new IllegalArgumentException("no terms");
      }
      terms = List.copyOf(terms);
    }

    @Override
    public long rows() {
      return terms.get(0).left().rows();
    }

    @Override
    public long columns() {
      return terms.get(0).right().columns();
    }
  }

  /**
   * {@return the direction of all entries of a matrix}
   *
   * @param matrix matrix to read
   */
  static Entries of(Operand matrix) {
    return new Entries(matrix, Optional.empty(), Optional.empty());
  }

  /**
   * {@return the difference of two matrices, after minus before}
   *
   * @param before matrix before the update
   * @param after matrix after the update
   */
  static Entries update(Operand before, Operand after) {
    return new Entries(after, Optional.of(before), Optional.empty());
  }

  /**
   * {@return the product of two factors, m x r and r x n}
   *
   * @param left left factor, m x r
   * @param right right factor, r x n
   */
  static Factors of(Matrix left, Matrix right) {
    return new Factors(List.of(new Operand.LowRank(left, right, 1)));
  }
}
