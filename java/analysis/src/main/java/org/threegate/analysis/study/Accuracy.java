package org.threegate.analysis.study;

/**
 * The share of right answers.
 *
 * @param mean over problems
 * @param shares of each problem's completions, in the order of the problems, which is the same for
 *     all runs
 */
public record Accuracy(Mean mean, double[] shares) {
  /** Returns the accuracy on problems that are a sample of all that there could be. */
  public static Accuracy of(double[] shares) {
    return new Accuracy(Mean.ofPairs(shares, new double[shares.length]), shares);
  }

  /** Returns what this one has more than another, problem by problem. */
  Mean minus(Accuracy other) {
    return Mean.ofPairs(shares, other.shares);
  }
}
