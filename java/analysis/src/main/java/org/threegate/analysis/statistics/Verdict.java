package org.threegate.analysis.statistics;

/** The verdict on a claim after comparison with its null models. */
public enum Verdict {
  SUPPORTED("supported"),
  EXPLAINED_BY_NULL("explained-by-null"),
  CONTRADICTED("contradicted"),
  UNDETERMINED("undetermined");

  private final String label;

  Verdict(String label) {
    this.label = label;
  }

  /** Returns the label used in {@code report.json}. */
  public String label() {
    return label;
  }
}
