package org.threegate.analysis.measure;

/** Told how far a measurement is; called by one thread. */
public interface Progress {
  /** Nobody listens. */
  Progress NONE = (what, done, total) -> {};

  /**
   * @param what the tensor in work
   * @param done bytes read
   * @param total bytes to read
   */
  void at(String what, long done, long total);
}
