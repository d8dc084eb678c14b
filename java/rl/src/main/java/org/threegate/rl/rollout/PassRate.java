package org.threegate.rl.rollout;

import java.util.Arrays;
import java.util.List;

/**
 * The unbiased estimate of pass@k (arXiv 2107.03374, equation 1): the probability that at least one
 * of k completions solves a problem. Its standard error is over problems, because completions of
 * the same problem are not independent.
 *
 * @param value the estimate, from 0 to 1
 * @param se the standard error over problems; NaN for fewer than two problems
 * @param problems the number of problems
 */
public record PassRate(double value, double se, int problems) {
  private static final double NORMAL_95 = 1.959963984540054;

  /**
   * Estimates pass@k.
   *
   * @param rollouts the scored completions. Those of a problem are adjacent, and a score of 1 is a
   *     success
   * @param each the number of completions per problem
   * @param k the number of attempts, from 1 to {@code each}
   * @return the estimate
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

  /** Returns the probability that k of n completions include one of the c correct ones. */
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

  /** {@return the lower end of the 95 % confidence interval, 0 or more} */
  public double low() {
    return Math.max(0, value - NORMAL_95 * se);
  }

  /** {@return the upper end of the 95 % confidence interval, 1 or less} */
  public double high() {
    return Math.min(1, value + NORMAL_95 * se);
  }
}
