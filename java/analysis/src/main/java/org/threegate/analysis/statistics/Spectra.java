package org.threegate.analysis.statistics;

import java.util.Arrays;

/**
 * Measures computed from all singular values of a matrix, in descending order (arXiv 2511.08567,
 * section 4.1 and theorems 3.3 to 3.5).
 */
public final class Spectra {
  private Spectra() {}

  /**
   * {@return the spectral drift ‖σ(W+) − σ(W0)‖₂ / ‖σ(W0)‖₂; NaN if W0 is zero}
   *
   * @param base singular values σ(W0), descending
   * @param tuned singular values σ(W+), of the same length
   */
  public static double nss(double[] base, double[] tuned) {
    return Ratio.of(distance(base, tuned), norm(base));
  }

  /**
   * {@return ‖σ(W+) − σ(W0)‖₂, which by Mirsky's theorem is at most ‖W+ − W0‖_F}
   *
   * @param base singular values σ(W0), descending
   * @param tuned singular values σ(W+), of the same length
   */
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

  /**
   * {@return ‖σ‖₂, the Frobenius norm of the matrix}
   *
   * @param sigma all singular values of the matrix
   */
  public static double norm(double[] sigma) {
    return Math.sqrt(Arrays.stream(sigma).map(value -> value * value).sum());
  }

  /**
   * {@return the Ky Fan norm: the sum of the {@code rank} largest singular values}
   *
   * @param sigma singular values of the matrix, descending
   * @param rank number of values to add, at most all of them
   */
  public static double kyFan(double[] sigma, int rank) {
    return Arrays.stream(sigma, 0, rank).sum();
  }

  /**
   * {@return the gap σ_k − σ'_{k+1} between the leading {@code rank} values of one matrix and the
   * rest of another} Values beyond the end of σ' count as zero. If both arguments belong to W0 this
   * is γ_k. If {@code rest} belongs to W+ it is the δ of Wedin's theorem.
   *
   * @param leading singular values σ of one matrix, descending
   * @param rest singular values σ' of the other matrix, descending
   * @param rank number k of leading values, at least 1
   */
  public static double gap(double[] leading, double[] rest, int rank) {
    return leading[rank - 1] - (rank < rest.length ? rest[rank] : 0);
  }

  /**
   * {@return the stable rank ‖W‖_F² / ‖W‖₂²; NaN for a zero matrix}
   *
   * @param sigma all singular values of the matrix, descending
   */
  public static double stableRank(double[] sigma) {
    double relative = Ratio.of(norm(sigma), sigma[0]);
    return relative * relative;
  }

  /**
   * {@return the effective rank: exp of the entropy of the normalized σ²; NaN for a zero matrix}
   *
   * @param sigma all singular values of the matrix
   */
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
