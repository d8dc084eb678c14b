package org.threegate.analysis.statistics;

/**
 * What the positions of a run, known by the distances between them alone, say of its way.
 *
 * <pre>{@code
 * double[][] squares = {{0, 1, 4}, {1, 0, 1}, {4, 1, 0}}; // three points on a line
 * System.out.println(Trajectories.linearity(new double[] {0, 1, 2}, squares));
 * }</pre>
 */
public final class Trajectories {
  private Trajectories() {}

  /**
   * R² of the least-squares lines through every weight's values over the steps: 1 − residual over
   * total sum of squares, over all weights.
   *
   * @param steps of the positions
   * @param squares squared distances between the positions
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
        // Σ over pairs of squared distances / 2n is the sum of squares about the centroid, and
        // −½ Σ a_i a_j d_ij² the squared norm of Σ a_i x_i for weights a that sum to zero.
        total += squares[i][j] / (2 * count);
        explained -= (steps[i] - mean) * (steps[j] - mean) * squares[i][j] / 2;
      }
    }
    return explained / spread / total;
  }

  /**
   * The same of a random walk whose independent increments have the lengths of this run's: in many
   * dimensions they are orthogonal. The trivial cause of a straight way is that a walk drifts.
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
   * How much two subspaces of {@code rank} dimensions among {@code dimension} have in common when
   * they are random: mean k/n of ‖V_1 V_2ᵀ‖_F²/k and its standard deviation.
   */
  public static NullEstimate randomLocking(int rank, long dimension) {
    double n = dimension;
    double k = rank;
    double variance = n > 1 ? 2 * (k * (n - k)) * (k * (n - k)) / (n * n * (n - 1) * (n + 2)) : 0;
    return NullEstimate.analytic("random-subspace", k / n, Math.sqrt(variance) / k);
  }
}
