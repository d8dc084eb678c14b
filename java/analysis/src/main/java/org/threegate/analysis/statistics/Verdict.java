package org.threegate.analysis.statistics;

/** The verdict on a claim after comparison with its null models, see {@link Finding}. */
public enum Verdict {
  /**
   * The effect beyond every null model is significant, and larger than the smallest of interest.
   */
  SUPPORTED("supported"),
  /** An effect is seen, and a null model explains it. */
  EXPLAINED_BY_NULL("explained-by-null"),
  /** The effect is significant and large in the opposite direction. */
  CONTRADICTED("contradicted"),
  /** The effect is smaller than the smallest of interest, in both directions. */
  CONSISTENT_WITH_CHANCE("consistent-with-chance"),
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

  /** {@return whether this is a verdict for or against the claim} */
  public boolean isDecided() {
    return this == SUPPORTED || this == CONTRADICTED;
  }
}
