package org.threegate.analysis.statistics;

import java.util.Arrays;

/**
 * What singular values, all of a matrix and descending, say (arXiv 2511.08567, section 4.1 and
 * theorems 3.3 to 3.5).
 */
public final class Spectra {
  private Spectra() {}

  /**
   * Spectral drift ‖σ(W+) − σ(W0)‖₂ / ‖σ(W0)‖₂; NaN when W0 is zero.
   *
   * @param base σ(W0)
   * @param tuned σ(W+), of the same length
   */
  public static double nss(double[] base, double[] tuned) {
    return distance(base, tuned) / norm(base);
  }

  /** ‖σ(W+) − σ(W0)‖₂: by Mirsky at most ‖W+ − W0‖_F. */
  public static double distance(double[] base, double[] tuned) {
    if (base.length != tuned.length) {
      throw new IllegalArgumentException(base.length + " and " + tuned.length + " values");
    }
    double sum = 0;
    for (int i = 0; i < base.length; i++) {
      double difference = tuned[i] - base[i];
      sum += difference * difference;
    }
    return Math.sqrt(sum);
  }

  /** ‖σ‖₂, the Frobenius norm of the matrix. */
  public static double norm(double[] sigma) {
    return Math.sqrt(Arrays.stream(sigma).map(value -> value * value).sum());
  }

  /** Ky Fan norm: the sum of the {@code rank} largest. */
  public static double kyFan(double[] sigma, int rank) {
    return Arrays.stream(sigma, 0, rank).sum();
  }

  /**
   * How far the leading {@code rank} values of one matrix lie above the rest of another: σ_k −
   * σ'_{k+1}, σ' zero beyond its end. With both of W0 it is γ_k, with the rest of W+ it is the δ of
   * Wedin's theorem.
   */
  public static double gap(double[] leading, double[] rest, int rank) {
    return leading[rank - 1] - (rank < rest.length ? rest[rank] : 0);
  }

  /** ‖·‖_F² / ‖·‖₂²; NaN for zero. */
  public static double stableRank(double[] sigma) {
    double relative = norm(sigma) / sigma[0];
    return relative * relative;
  }

  /** exp of the entropy of σ² as a distribution; NaN for zero. */
  public static double effectiveRank(double[] sigma) {
    double total = norm(sigma);
    double entropy = 0;
    for (double value : sigma) {
      double share = value / total * (value / total);
      entropy -= share > 0 ? share * Math.log(share) : 0;
    }
    return total > 0 ? Math.exp(entropy) : Double.NaN;
  }
}
