package org.threegate.kernel;

/**
 * The entries of a matrix that {@link Bf16Diff} compares: an {@link Operand}, or {@link
 * QuantizedRows} that are compared by their codes, or decoded block by block, and never stored.
 *
 * <pre>{@code
 * Entries entries = Operand.of(Matrix.of(buffer, Dtype.BF16, 64, 64));
 * System.out.println(entries.rows() + " x " + entries.columns());
 * }</pre>
 */
public sealed interface Entries permits Operand, QuantizedRows {
  /** {@return the number of rows} */
  long rows();

  /** {@return the number of columns} */
  long columns();
}
