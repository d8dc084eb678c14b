package org.threegate.analysis.study;

/**
 * The accuracy of a model: the share of correct answers.
 *
 * @param mean mean over problems, with its standard error
 * @param shares share of correct completions per problem; all runs use the same order of problems
 */
public record Accuracy(Mean mean, double[] shares) {
  /** Copies the arrays. */
  public Accuracy {
    shares = shares.clone();
  }

  /** {@return a copy of the shares of correct completions, one per problem} */
  @Override
  public double[] shares() {
    return shares.clone();
  }

  /**
   * {@return the accuracy from shares of correct completions} The problems are treated as a random
   * sample.
   *
   * @param shares share of correct completions of each problem, from 0 to 1
   */
  public static Accuracy of(double[] shares) {
    return new Accuracy(Mean.ofPairs(shares, new double[shares.length]), shares);
  }

  /** Returns the mean of the paired differences from another accuracy, problem by problem. */
  Mean minus(Accuracy other) {
    return Mean.ofPairs(shares, other.shares);
  }
}
