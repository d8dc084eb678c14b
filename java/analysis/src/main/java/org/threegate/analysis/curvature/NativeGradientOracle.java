package org.threegate.analysis.curvature;

import org.threegate.kernel.Matrix;

/**
 * A function's gradient in native memory, from any tool that can give one: any number of
 * parameters, and nothing is copied.
 */
@FunctionalInterface
public interface NativeGradientOracle {
  /**
   * Overwrites {@code gradient} with that at {@code point}; the same for the same point, so with
   * fixed data, seeds and masks. Both are vectors of the dtype of the parameters.
   */
  void gradient(Matrix point, Matrix gradient);

  /** Of one that takes arrays. */
  static NativeGradientOracle of(GradientOracle oracle) {
    return (point, gradient) -> {
      int count = Math.toIntExact(point.rows() * point.columns());
      double[] values = new double[count];
      oracle.gradient(point.buffer().getDoubles(point.offset(), count), values);
      gradient.buffer().putDoubles(gradient.offset(), values);
    };
  }
}
