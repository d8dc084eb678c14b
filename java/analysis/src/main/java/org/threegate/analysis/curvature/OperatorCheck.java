package org.threegate.analysis.curvature;

import java.util.Arrays;

/**
 * What a probe relies on, asked of an operator before it is probed.
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
   * |uᵀHv − vᵀHu| of two random vectors, as a share of |u||Hv| + |v||Hu|: rounding for a symmetric
   * operator.
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
   * @throws IllegalStateException when two products of one vector differ, or are not finite
   */
  public static void requireDeterministic(CurvatureOperator operator, long seed) {
    double[] vector = Vectors.signs(operator.dimension(), seed, 0);
    double[] first = new double[vector.length];
    double[] second = new double[vector.length];
    operator.apply(vector, first);
    operator.apply(vector, second);
    if (!Arrays.stream(first).allMatch(Double::isFinite)) {
      throw new IllegalStateException("the operator gave a product that is not finite");
    }
    Vectors.add(second, -1, first);
    requireEqual("the operator gave two products of one vector", Vectors.norm(second));
  }

  /**
   * @param difference of what was given twice, its Euclidean length
   */
  static void requireEqual(String what, double difference) {
    if (difference != 0) {
      throw new IllegalStateException(
          what
              + ", "
              + difference
              + " apart; curvature of it would be noise: fix its seed, its batch, and switch"
              + " dropout off");
    }
  }
}
