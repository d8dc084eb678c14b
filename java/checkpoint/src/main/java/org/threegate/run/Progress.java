package org.threegate.run;

/** Receives the progress of long work. Calls come from one thread at a time. */
@FunctionalInterface
public interface Progress {
  /** Ignores progress. */
  Progress NONE = (what, done, total) -> {};

  /**
   * Reports progress.
   *
   * @param what the item in work, such as the name of a tensor; may be empty
   * @param done finished work in the unit of the total: bytes, operations, or steps
   * @param total all work
   * @throws CancelledException to end the work, where the work says that it may
   */
  void at(String what, long done, long total);
}
