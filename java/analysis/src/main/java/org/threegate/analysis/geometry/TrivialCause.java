package org.threegate.analysis.geometry;

/** A cause that explains a whole update, so that it says nothing about training. */
public enum TrivialCause {
  /** One side is the other one rounded to a coarser dtype, or both are roundings of one matrix. */
  DTYPE("only a change of dtype"),
  /** Rows, columns or the whole matrix were multiplied by factors, and the result was rounded. */
  RESCALING("only a rescaling");

  private final String label;

  TrivialCause(String label) {
    this.label = label;
  }

  /** {@return the name in reports} */
  public String label() {
    return label;
  }
}
