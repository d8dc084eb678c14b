package org.threegate.analysis.geometry;

/** A cause that explains a whole update, so that it says nothing about training. */
public enum TrivialCause {
  /** One side is the other one rounded to a coarser dtype, or both are roundings of one matrix. */
  DTYPE("dtype", "only a change of dtype"),
  /** The rows or the columns are in another order, as after a permutation of heads. */
  PERMUTATION("permutation", "only a permutation of rows or columns"),
  /** Rows, columns or the whole matrix were multiplied by factors, and the result was rounded. */
  RESCALING("only-rescaling", "only a rescaling");

  private final String id;
  private final String label;

  TrivialCause(String id, String label) {
    this.id = id;
    this.label = label;
  }

  /** {@return the identifier in reports} */
  public String id() {
    return id;
  }

  /** {@return the name in reports} */
  public String label() {
    return label;
  }
}
