package org.threegate.analysis.statistics;

/** The verdict on a claim after comparison with its null models. */
public enum Verdict {
  /** More than half of the matrices count for the claim. */
  SUPPORTED("supported"),
  /** The claim holds without its null models, and the null models explain it. */
  EXPLAINED_BY_NULL("explained-by-null"),
  /** More than half of the matrices count against the claim. */
  CONTRADICTED("contradicted"),
  /** The matrices do not decide. */
  UNDETERMINED("undetermined");

  private final String label;

  Verdict(String label) {
    this.label = label;
  }

  /** {@return the label used in {@code report.json}} */
  public String label() {
    return label;
  }
}
