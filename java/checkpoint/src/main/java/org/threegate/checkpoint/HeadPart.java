package org.threegate.checkpoint;

/** The matrix of attention that a head has a part of. */
public enum HeadPart {
  QUERY("q"),
  KEY("k"),
  VALUE("v"),
  OUTPUT("o");

  private final String label;

  HeadPart(String label) {
    this.label = label;
  }

  /** Returns the label in reports. */
  public String label() {
    return label;
  }
}
