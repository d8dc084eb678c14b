package org.threegate.checkpoint;

/** The matrix of attention that a head has a part of. */
public enum HeadPart {
  /** A part of the query projection. */
  QUERY("q"),
  /** A part of the key projection. */
  KEY("k"),
  /** A part of the value projection. */
  VALUE("v"),
  /** A part of the output projection. */
  OUTPUT("o");

  private final String label;

  HeadPart(String label) {
    this.label = label;
  }

  /** {@return the label in reports} */
  public String label() {
    return label;
  }
}
