package org.threegate.analysis.curvature;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import org.threegate.analysis.statistics.NullEstimate;

/** Vector arithmetic with a fixed order of operations, for reproducible results. */
final class Vectors {
  private Vectors() {}

  static double dot(double[] a, double[] b) {
    double[] lanes = new double[4];
    int i = 0;
    for (; i + 4 <= a.length; i += 4) {
      for (int lane = 0; lane < 4; lane++) {
        lanes[lane] += a[i + lane] * b[i + lane];
      }
    }
    for (; i < a.length; i++) {
      lanes[0] += a[i] * b[i];
    }
    return lanes[0] + lanes[1] + (lanes[2] + lanes[3]);
  }

  static double norm(double[] a) {
    return Math.sqrt(dot(a, a));
  }

  /** Computes a += factor · b. */
  static void add(double[] a, double factor, double[] b) {
    for (int i = 0; i < a.length; i++) {
      a[i] += factor * b[i];
    }
  }

  static void scale(double[] a, double factor) {
    for (int i = 0; i < a.length; i++) {
      a[i] *= factor;
    }
  }

  /**
   * Orthogonalizes a vector against an orthonormal basis, in two passes. Returns the removed
   * coefficients.
   */
  static double[] orthogonalise(double[] vector, List<double[]> basis) {
    double[] parts = new double[basis.size()];
    for (int pass = 0; pass < 2; pass++) {
      for (int i = 0; i < parts.length; i++) {
        double part = dot(basis.get(i), vector);
        add(vector, -part, basis.get(i));
        parts[i] += part;
      }
    }
    return parts;
  }

  /** Returns the random numbers of one sample, which do not depend on earlier samples. */
  static SplittableRandom random(long seed, int sample) {
    long start = new SplittableRandom(seed).nextLong();
    return new SplittableRandom(new SplittableRandom(start + sample).nextLong());
  }

  /** Returns the seed for a layer, so that layers share no random numbers. */
  static long seed(long seed, String layer) {
    long hash = new SplittableRandom(seed).nextLong();
    for (int i = 0; i < layer.length(); i++) {
      hash = new SplittableRandom(hash + layer.charAt(i)).nextLong();
    }
    return hash;
  }

  static double mean(double[] values) {
    return Arrays.stream(values).average().orElse(Double.NaN);
  }

  static double[] logarithms(double[] values) {
    return Arrays.stream(values).map(Math::log).toArray();
  }

  /**
   * Permutes the coordinates of all vectors alike and flips their signs. Orthonormal vectors stay
   * orthonormal.
   */
  static void shuffle(double[][] vectors, SplittableRandom random) {
    int length = vectors[0].length;
    for (int i = length - 1; i >= 0; i--) {
      int other = random.nextInt(i + 1);
      double sign = random.nextBoolean() ? 1 : -1;
      for (double[] vector : vectors) {
        double kept = vector[i];
        vector[i] = sign * vector[other];
        if (other != i) {
          vector[other] = kept;
        }
      }
    }
  }

  /** Returns independent random signs. */
  static double[] signs(int dimension, long seed, int sample) {
    SplittableRandom random = random(seed, sample);
    double[] signs = new double[dimension];
    long bits = 0;
    for (int i = 0; i < dimension; i++) {
      bits = i % 64 == 0 ? random.nextLong() : bits >>> 1;
      signs[i] = (bits & 1) == 0 ? 1 : -1;
    }
    return signs;
  }

  /** Returns a standard normal number (first of the pair of Marsaglia's polar method). */
  static double gaussian(SplittableRandom random) {
    while (true) {
      double u = 2 * random.nextDouble() - 1;
      double v = 2 * random.nextDouble() - 1;
      double square = u * u + v * v;
      if (square > 0 && square < 1) {
        return u * Math.sqrt(-2 * Math.log(square) / square);
      }
    }
  }

  /** Returns random orthonormal rows from the rotation-invariant (Haar) measure, count x length. */
  static double[][] orthonormal(int count, int length, SplittableRandom random) {
    List<double[]> basis = new ArrayList<>();
    while (basis.size() < count) {
      double[] vector = new double[length];
      for (int i = 0; i < length; i++) {
        vector[i] = gaussian(random);
      }
      orthogonalise(vector, basis);
      scale(vector, 1 / norm(vector));
      basis.add(vector);
    }
    return basis.toArray(double[][]::new);
  }

  /**
   * Returns the distribution of the mean squared cosine of the principal angles of two random
   * subspaces with {@code count} of {@code side} dimensions. It is trace(PQ)/count of two random
   * projections, whose first two moments are known.
   */
  static NullEstimate randomOverlap(int count, int side) {
    double k = count;
    double n = side;
    double variance = 2 * k * k * (n - k) * (n - k) / (n * n * (n - 1) * (n + 2));
    return NullEstimate.analytic("random subspace", k / n, Math.sqrt(variance) / k);
  }
}
