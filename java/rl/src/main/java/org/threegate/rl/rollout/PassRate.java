package org.threegate.rl.rollout;

import java.util.Arrays;
import java.util.List;

/**
 * The share of problems that one of k completions solves, pass@k, without bias (arXiv 2107.03374,
 * equation 1), and how far it may be off: problems are the sample, completions of one are not
 * independent.
 *
 * @param se over problems; not a number for fewer than two
 */
public record PassRate(double value, double se, int problems) {
  private static final double NORMAL_95 = 1.959963984540054;

  /**
   * @param each completions of a problem, one behind the other; solved: a score of 1
   * @param k completions of which one has to be right, {@code each} at most
   */
  public static PassRate of(List<Rollout> rollouts, int each, int k) {
    if (each < 1 || rollouts.isEmpty() || rollouts.size() % each != 0 || k < 1 || k > each) {
      throw new IllegalArgumentException(
          "pass@" + k + " of " + rollouts.size() + " completions, " + each + " a problem");
    }
    double[] shares = new double[rollouts.size() / each];
    for (int i = 0; i < shares.length; i++) {
      long right =
          rollouts.subList(i * each, (i + 1) * each).stream()
              .filter(rollout -> rollout.score().value() == 1)
              .count();
      shares[i] = atLeastOne(each, (int) right, k);
    }
    double mean = Arrays.stream(shares).average().orElseThrow();
    double squares = Arrays.stream(shares).map(share -> (share - mean) * (share - mean)).sum();
    double error = Math.sqrt(squares / (shares.length - 1) / shares.length);
    return new PassRate(mean, error, shares.length);
  }

  /** That k of n completions, of which c are right, have a right one among them. */
  static double atLeastOne(int n, int c, int k) {
    if (n - c < k) {
      return 1;
    }
    double none = 1;
    for (int i = n - c + 1; i <= n; i++) {
      none *= 1 - (double) k / i;
    }
    return 1 - none;
  }

  /** Ends of the 95 % interval, between 0 and 1. */
  public double low() {
    return Math.max(0, value - NORMAL_95 * se);
  }

  /** See {@link #low}. */
  public double high() {
    return Math.min(1, value + NORMAL_95 * se);
  }
}
