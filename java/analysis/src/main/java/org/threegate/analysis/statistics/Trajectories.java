package org.threegate.analysis.statistics;

/**
 * Measures of the path of a run, computed from the distances between its positions only.
 *
 * <pre>{@code
 * double[][] squares = {{0, 1, 4}, {1, 0, 1}, {4, 1, 0}}; // three points on a line
 * System.out.println(Trajectories.linearity(new double[] {0, 1, 2}, squares));
 * }</pre>
 */
public final class Trajectories {
  private Trajectories() {}

  /**
   * {@return R² of the least-squares lines of each weight over the steps: 1 − residual over total
   * sum of squares, summed over all weights; NaN if no weight moves}
   *
   * @param steps training steps of the positions, length n
   * @param squares squared distances between the positions, n x n
   */
  public static double linearity(double[] steps, double[][] squares) {
    int count = steps.length;
    double mean = 0;
    for (double step : steps) {
      mean += step / count;
    }
    double spread = 0;
    double total = 0;
    double explained = 0;
    for (int i = 0; i < count; i++) {
      spread += (steps[i] - mean) * (steps[i] - mean);
      for (int j = 0; j < count; j++) {
        // The sum of squared distances over pairs, divided by 2n, is the sum of squares about the
        // centroid. For weights a that sum to zero, −½ Σ a_i a_j d_ij² is the squared norm of Σ a_i
        // x_i.
        total += squares[i][j] / (2 * count);
        explained -= (steps[i] - mean) * (steps[j] - mean) * squares[i][j] / 2;
      }
    }
    return Ratio.of(explained / spread, total);
  }

  /**
   * {@return R² of a random walk whose independent increments have the lengths of this run's} In
   * high dimension such increments are orthogonal. A random walk already has a high R², so this is
   * the null model of {@link #linearity}.
   *
   * @param steps training steps of the positions, length n
   * @param squares squared distances between the positions, n x n
   */
  public static double walkLinearity(double[] steps, double[][] squares) {
    int count = steps.length;
    double[] walked = new double[count];
    for (int i = 1; i < count; i++) {
      walked[i] = walked[i - 1] + squares[i - 1][i];
    }
    double[][] walk = new double[count][count];
    for (int i = 0; i < count; i++) {
      for (int j = 0; j < count; j++) {
        walk[i][j] = Math.abs(walked[i] - walked[j]);
      }
    }
    return linearity(steps, walk);
  }

  /**
   * {@return the distribution of ‖V_1 V_2ᵀ‖_F²/k for two random subspaces: mean k/n and its
   * standard deviation}
   *
   * @param rank dimension k of the subspaces
   * @param dimension dimension n of the space
   */
  public static NullEstimate randomLocking(int rank, long dimension) {
    double n = dimension;
    double k = rank;
    double variance = n > 1 ? 2 * (k * (n - k)) * (k * (n - k)) / (n * n * (n - 1) * (n + 2)) : 0;
    return NullEstimate.analytic("random-subspace", k / n, Math.sqrt(variance) / k);
  }
}
