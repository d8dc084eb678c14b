package org.threegate.analysis.curvature;

/** The gradient of a function, as arrays. */
@FunctionalInterface
public interface GradientOracle {
  /**
   * Overwrites {@code gradient} with the gradient at {@code point}. The result must be
   * deterministic, so data, seeds and dropout masks must be fixed.
   */
  void gradient(double[] point, double[] gradient);
}
