package org.threegate.analysis.statistics;

/** What may be said of a claim after its null models have been heard. */
public enum Verdict {
  SUPPORTED("supported"),
  EXPLAINED_BY_NULL("explained-by-null"),
  CONTRADICTED("contradicted"),
  UNDETERMINED("undetermined");

  private final String label;

  Verdict(String label) {
    this.label = label;
  }

  /** As in {@code report.json}. */
  public String label() {
    return label;
  }
}
