package org.threegate.analysis.curvature;

/**
 * A symmetric matrix that is accessed only through matrix-vector products. Implement it to probe an
 * operator of your own, such as the exact Hessian of a model.
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
  /** {@return the number of rows, which equals the number of columns} */
  int dimension();

  /**
   * Overwrites {@code product} with the matrix times {@code vector}; both have length {@link
   * #dimension} and must be different arrays.
   *
   * @param vector vector to multiply, which stays unchanged
   * @param product array for the product
   */
  void apply(double[] vector, double[] product);

  /**
   * Computes several products. Operators can override this if a batch is cheaper than single
   * products.
   *
   * @param vectors vectors of length {@link #dimension}, one per row
   * @return the products, in the same order
   */
  default double[][] applyAll(double[][] vectors) {
    double[][] products = new double[vectors.length][dimension()];
    for (int i = 0; i < vectors.length; i++) {
      apply(vectors[i], products[i]);
    }
    return products;
  }
}
