package org.threegate.analysis.curvature;

import java.util.Arrays;

/**
 * Checks the assumptions of the probes on an operator.
 *
 * <pre>{@code
 * CurvatureOperator identity = new ExplicitOperator(new double[] {1, 0, 0, 1}, 2);
 * OperatorCheck.requireDeterministic(identity, 1);
 * System.out.println(OperatorCheck.asymmetry(identity, 1) + " of it is not symmetric");
 * }</pre>
 */
public final class OperatorCheck {
  private OperatorCheck() {}

  /**
   * {@return |uᵀHv − vᵀHu| / (|u||Hv| + |v||Hu|) for two random vectors} For a symmetric operator
   * it is at the level of rounding errors.
   *
   * @param operator operator to check; it is applied twice
   * @param seed seed of the vectors
   */
  public static double asymmetry(CurvatureOperator operator, long seed) {
    double[] u = Vectors.signs(operator.dimension(), seed, 0);
    double[] v = Vectors.signs(operator.dimension(), seed, 1);
    double[][] products = operator.applyAll(new double[][] {u, v});
    double scale =
        Vectors.norm(u) * Vectors.norm(products[1]) + Vectors.norm(v) * Vectors.norm(products[0]);
    double difference = Vectors.dot(u, products[1]) - Vectors.dot(v, products[0]);
    return scale == 0 ? 0 : Math.abs(difference) / scale;
  }

  /**
   * Checks that repeated products are equal.
   *
   * @param operator operator to check; it is applied twice
   * @param seed seed of the vector
   * @throws IllegalStateException if two products of the same vector differ or are not finite
   */
  public static void requireDeterministic(CurvatureOperator operator, long seed) {
    double[] vector = Vectors.signs(operator.dimension(), seed, 0);
    double[] first = new double[vector.length];
    double[] second = new double[vector.length];
    operator.apply(vector, first);
    operator.apply(vector, second);
    if (!Arrays.stream(first).allMatch(Double::isFinite)) {
      throw new IllegalStateException("the operator returned a non-finite product");
    }
    Vectors.add(second, -1, first);
    requireEqual(
        "the operator returned different products for the same vector", Vectors.norm(second));
  }

  /**
   * Checks that two results are equal.
   *
   * @param difference Euclidean norm of their difference
   */
  static void requireEqual(String what, double difference) {
    if (difference != 0) {
      throw new IllegalStateException(
          what
              + ", "
              + difference
              + " apart; its curvature would be noise. Fix the seed and the batch, and switch"
              + " dropout off");
    }
  }
}
