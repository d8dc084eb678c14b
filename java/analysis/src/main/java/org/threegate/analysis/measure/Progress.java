package org.threegate.analysis.measure;

/** Told how far a measurement is; called by one thread. */
public interface Progress {
  /** Nobody listens. */
  Progress NONE = (what, done, total) -> {};

  /**
   * @param what the tensor in work
   * @param done work that is finished: bytes, or operations where geometries are measured
   * @param total all of it
   */
  void at(String what, long done, long total);
}
