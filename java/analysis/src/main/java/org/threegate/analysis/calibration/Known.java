package org.threegate.analysis.calibration;

/** A kind of update, or of several runs, whose truth is known. */
interface Known {
  /** Returns the name in tables. */
  String name();

  /** Returns what the update is, as a phrase. */
  String description();

  /** Returns what is true of it. */
  Truth truth();
}
