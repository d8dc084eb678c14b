package org.threegate.analysis.curvature;

/** Is told how far a probe is, and may end it by throwing. */
@FunctionalInterface
public interface Watch {
  Watch NONE = (done, total) -> {};

  /**
   * @throws java.util.concurrent.CancellationException to end the probe
   */
  void at(int done, int total);
}
