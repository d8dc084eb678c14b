package org.threegate.analysis.curvature;

/** The gradient of a function, as arrays. */
@FunctionalInterface
public interface GradientOracle {
  /**
   * Overwrites {@code gradient} with the gradient at {@code point}. The result must be
   * deterministic, so data, seeds and dropout masks must be fixed.
   *
   * @param point point of the function's parameters, which must stay unchanged
   * @param gradient array of the same length for the gradient
   */
  void gradient(double[] point, double[] gradient);
}
