package org.threegate.analysis.curvature;

import org.threegate.kernel.Matrix;

/** The gradient of a function in native memory, for any number of parameters and without copies. */
@FunctionalInterface
public interface NativeGradientOracle {
  /**
   * Overwrites {@code gradient} with the gradient at {@code point}. Both are vectors with the dtype
   * of the parameters. The result must be deterministic, so data, seeds and dropout masks must be
   * fixed.
   *
   * @param point parameters of the function, which must stay unchanged
   * @param gradient vector for the gradient
   */
  void gradient(Matrix point, Matrix gradient);

  /**
   * {@return an oracle that wraps an oracle for arrays}
   *
   * @param oracle gradient of a function of arrays
   */
  static NativeGradientOracle of(GradientOracle oracle) {
    return (point, gradient) -> {
      int count = Math.toIntExact(point.rows() * point.columns());
      double[] values = new double[count];
      oracle.gradient(point.buffer().getDoubles(point.offset(), count), values);
      gradient.buffer().putDoubles(gradient.offset(), values);
    };
  }
}
