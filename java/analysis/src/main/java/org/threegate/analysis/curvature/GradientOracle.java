package org.threegate.analysis.curvature;

/** A function's gradient, from any tool that can give one. */
@FunctionalInterface
public interface GradientOracle {
  /**
   * Overwrites {@code gradient} with that at {@code point}; the same for the same point, so with
   * fixed data, seeds and masks.
   */
  void gradient(double[] point, double[] gradient);
}
