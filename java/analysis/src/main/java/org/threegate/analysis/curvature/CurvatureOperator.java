package org.threegate.analysis.curvature;

/**
 * A symmetric matrix that is known by its products alone. An exact Hessian of a model joins the
 * probes by implementing it.
 *
 * <pre>{@code
 * CurvatureOperator twice =
 *     new CurvatureOperator() {
 *       public int dimension() {
 *         return 3;
 *       }
 *
 *       public void apply(double[] vector, double[] product) {
 *         for (int i = 0; i < 3; i++) {
 *           product[i] = 2 * vector[i];
 *         }
 *       }
 *     };
 * Estimate trace = Traces.hutchinson(twice, 10, 1, Progress.NONE);
 * }</pre>
 */
public interface CurvatureOperator {
  /** Rows and columns. */
  int dimension();

  /**
   * Overwrites {@code product} with the matrix times {@code vector}; both have {@link #dimension}
   * numbers and are not the same array.
   */
  void apply(double[] vector, double[] product);

  /** Several products at once, for operators to which that is cheaper than one after the other. */
  default double[][] applyAll(double[][] vectors) {
    double[][] products = new double[vectors.length][dimension()];
    for (int i = 0; i < vectors.length; i++) {
      apply(vectors[i], products[i]);
    }
    return products;
  }
}
