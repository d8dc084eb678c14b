package org.threegate.checkpoint.weight;

import org.threegate.kernel.Context;
import org.threegate.kernel.Operand;

/**
 * Tells whether a matrix is zero. Most matrices show it in their first entries, so that the test
 * costs nothing.
 *
 * <pre>{@code
 * try (Checkpoint checkpoint = Checkpoint.open(context, base)) {
 *   for (Weight weight : Weights.of(checkpoint).byName().values()) {
 *     System.out.println(weight.name() + ": " + Zeros.fill(context, weight.entries()));
 *   }
 * }
 * }</pre>
 */
public final class Zeros {
  private Zeros() {}

  /**
   * {@return whether all entries of a matrix are zero; false if it has none}
   *
   * @param context context that allocates memory for entries that are computed
   * @param values entries of the matrix
   */
  public static boolean fill(Context context, Values values) {
    if (values.rows() == 0 || values.columns() == 0) {
      return false;
    }
    for (Values part : new Values[] {values.rows(0, 1), values}) {
      try (Values.Opened opened = part.open(context)) {
        if (!fill(opened.operand())) {
          return false;
        }
      }
    }
    return true;
  }

  /**
   * {@return whether all entries of a matrix are zero; false if it has none}
   *
   * @param operand the matrix as kernels read it
   */
  public static boolean fill(Operand operand) {
    DoubleRows rows = DoubleRows.of(operand);
    double[] row = new double[Math.toIntExact(operand.columns())];
    for (long i = 0; i < operand.rows(); i++) {
      rows.read(i, 1, row);
      for (double entry : row) {
        if (entry != 0) { // also of one that is not a number
          return false;
        }
      }
    }
    return operand.rows() > 0 && row.length > 0;
  }
}
