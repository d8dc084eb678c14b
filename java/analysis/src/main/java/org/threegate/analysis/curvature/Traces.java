package org.threegate.analysis.curvature;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;
import org.threegate.run.Progress;

/**
 * Stochastic estimates of traces and norms from products with random sign vectors.
 *
 * <pre>{@code
 * CurvatureOperator matrix = new ExplicitOperator(new double[] {2, 1, 1, 3}, 2);
 * Estimate plain = Traces.hutchinson(matrix, 100, 1, Progress.NONE);
 * Estimate better = Traces.hutchPlusPlus(matrix, 30, 1, Progress.NONE);
 * Estimate norm = Traces.frobeniusNorm(matrix, 100, 1, Progress.NONE);
 * }</pre>
 */
public final class Traces {
  // Relative to the largest new component of a direction; smaller ones are rounding.
  private static final double NEGLIGIBLE = 1e-12;

  private Traces() {}

  /**
   * Estimates the trace by zᵀHz with random signs z (Hutchinson, Communications in Statistics
   * 19(2), 1990). The estimate is unbiased. Its variance comes from the off-diagonal entries.
   *
   * @param operator symmetric operator
   * @param samples number of sign vectors, with one product each
   * @param seed seed of the sign vectors
   * @param progress receives the samples that are done
   * @return the trace with its standard error
   */
  public static Estimate hutchinson(
      CurvatureOperator operator, int samples, long seed, Progress progress) {
    return Estimate.of(quadraticForms(operator, 0, samples, seed, progress));
  }

  /**
   * {@return the samples from {@code from} (inclusive) to {@code to} (exclusive) of {@link
   * #hutchinson}} A run in parts gives the same samples as a single run.
   *
   * @param operator symmetric operator
   * @param from number of the first sample, from 0
   * @param to number after that of the last sample
   * @param seed seed of the sign vectors
   * @param progress receives the samples that are done
   */
  public static double[] quadraticForms(
      CurvatureOperator operator, int from, int to, long seed, Progress progress) {
    double[] forms = new double[to - from];
    double[] product = new double[operator.dimension()];
    for (int i = 0; i < forms.length; i++) {
      progress.at("", i, forms.length);
      double[] signs = Vectors.signs(operator.dimension(), seed, from + i);
      operator.apply(signs, product);
      forms[i] = Vectors.dot(signs, product);
    }
    return forms;
  }

  /**
   * Estimates the Frobenius norm from |Hz|² with random signs z.
   *
   * @param operator symmetric operator
   * @param samples number of sign vectors, with one product each
   * @param seed seed of the sign vectors
   * @param progress receives the samples that are done
   * @return the Frobenius norm with its standard error
   */
  public static Estimate frobeniusNorm(
      CurvatureOperator operator, int samples, long seed, Progress progress) {
    double[] squares = new double[samples];
    double[] product = new double[operator.dimension()];
    for (int i = 0; i < samples; i++) {
      progress.at("", i, samples);
      operator.apply(Vectors.signs(operator.dimension(), seed, i), product);
      squares[i] = Vectors.dot(product, product);
    }
    return Estimate.of(squares).squareRoot();
  }

  /**
   * Estimates the trace by Hutch++ (Meyer, Musco, Musco and Woodruff, SOSA 2021). A third of the
   * products find leading directions, in which the trace is exact. Sign vectors sample the rest,
   * and the error is that of the rest.
   *
   * @param operator symmetric operator
   * @param products total number of products with the operator, at least 6
   * @param seed seed of the vectors
   * @param progress receives the products that are done
   * @return the trace with its standard error
   */
  public static Estimate hutchPlusPlus(
      CurvatureOperator operator, int products, long seed, Progress progress) {
    int each = products / 3;
    if (each < 2) {
      throw new IllegalArgumentException(products + " products; at least 6 are required");
    }
    List<double[]> basis = new ArrayList<>();
    double largest = 0;
    for (int i = 0; i < each; i++) {
      progress.at("", i, 3 * each);
      double[] found = new double[operator.dimension()];
      operator.apply(Vectors.signs(operator.dimension(), seed, i), found);
      Vectors.orthogonalise(found, basis);
      largest = Math.max(largest, Vectors.norm(found));
      addUnit(basis, found, largest);
    }
    double[] product = new double[operator.dimension()];
    double exact = 0;
    for (int i = 0; i < basis.size(); i++) {
      progress.at("", each + i, 3 * each);
      operator.apply(basis.get(i), product);
      exact += Vectors.dot(basis.get(i), product);
    }
    double[] samples = new double[each];
    for (int i = 0; i < each; i++) {
      progress.at("", 2 * each + i, 3 * each);
      double[] rest = Vectors.signs(operator.dimension(), seed, each + i);
      Vectors.orthogonalise(rest, basis);
      operator.apply(rest, product);
      samples[i] = exact + Vectors.dot(rest, product);
    }
    return Estimate.of(samples);
  }

  private static boolean addUnit(List<double[]> basis, double[] vector, double largest) {
    double length = Vectors.norm(vector);
    if (length <= NEGLIGIBLE * largest || basis.size() == vector.length) {
      return false;
    }
    Vectors.scale(vector, 1 / length);
    basis.add(vector);
    return true;
  }

  /**
   * Estimates the trace by XTrace (Epperly, Tropp and Webber, SIAM J. Matrix Anal. Appl. 45(1),
   * 2024). Each sign vector samples the remainder after projecting out the directions that all
   * other vectors found. Every product thus serves both purposes.
   *
   * @param operator symmetric operator
   * @param products total number of products with the operator, at least 4
   * @param seed seed of the vectors
   * @param progress receives the products that are done
   * @return the trace with its standard error
   */
  public static Estimate xTrace(
      CurvatureOperator operator, int products, long seed, Progress progress) {
    int count = products / 2;
    if (count < 2) {
      throw new IllegalArgumentException(products + " products; at least 4 are required");
    }
    int dimension = operator.dimension();
    double[][] signs = new double[count][];
    double[][] images = new double[count][dimension];
    List<double[]> basis = new ArrayList<>();
    DMatrixRMaj triangle = new DMatrixRMaj(count, count);
    double largest = 0;
    boolean full = true;
    for (int i = 0; i < count; i++) {
      progress.at("", i, 2 * count);
      signs[i] = Vectors.signs(dimension, seed, i);
      operator.apply(signs[i], images[i]);
      double[] rest = images[i].clone();
      double[] parts = Vectors.orthogonalise(rest, basis);
      for (int k = 0; k < parts.length; k++) {
        triangle.set(k, i, parts[k]);
      }
      largest = Math.max(largest, Vectors.norm(rest));
      triangle.set(basis.size() < count ? basis.size() : 0, i, Vectors.norm(rest));
      full &= addUnit(basis, rest, largest);
    }
    double[][] basisImages = new double[basis.size()][dimension];
    double inside = 0;
    for (int i = 0; i < basis.size(); i++) {
      progress.at("", count + i, 2 * count);
      operator.apply(basis.get(i), basisImages[i]);
      inside += Vectors.dot(basis.get(i), basisImages[i]);
    }
    if (!full) {
      // The directions span the range of the operator, so there is no remainder.
      return new Estimate(inside, 0, count);
    }
    return Estimate.of(leaveOneOut(signs, images, basis, basisImages, triangle, inside));
  }

  /** Returns the estimate of each sign vector, using the directions that the others found. */
  private static double[] leaveOneOut(
      double[][] signs,
      double[][] images,
      List<double[]> basis,
      double[][] basisImages,
      DMatrixRMaj triangle,
      double inside) {
    int count = signs.length;
    DMatrixRMaj inverse = new DMatrixRMaj(count, count);
    if (!CommonOps_DDRM.invert(triangle, inverse)) {
      throw new IllegalStateException("the directions of a trace are linearly dependent");
    }
    double[] estimates = new double[count];
    for (int i = 0; i < count; i++) {
      // In this basis, the direction that only image i contributes is row i of the inverse.
      double[] own = new double[count];
      for (int k = 0; k < count; k++) {
        own[k] = inverse.get(i, k);
      }
      Vectors.scale(own, 1 / Vectors.norm(own));
      double[] lost = new double[signs[i].length];
      double[] lostImage = new double[signs[i].length];
      for (int k = 0; k < count; k++) {
        Vectors.add(lost, own[k], basis.get(k));
        Vectors.add(lostImage, own[k], basisImages[k]);
      }
      double[] rest = signs[i].clone();
      double[] restImage = images[i].clone();
      for (int k = 0; k < count; k++) {
        double part = Vectors.dot(basis.get(k), signs[i]);
        Vectors.add(rest, -part, basis.get(k));
        Vectors.add(restImage, -part, basisImages[k]);
      }
      double back = Vectors.dot(lost, signs[i]);
      Vectors.add(rest, back, lost);
      Vectors.add(restImage, back, lostImage);
      estimates[i] = inside - Vectors.dot(lost, lostImage) + Vectors.dot(rest, restImage);
    }
    return estimates;
  }

  /**
   * {@return the Rayleigh quotient vᵀHv / vᵀv of each direction}
   *
   * @param operator symmetric operator
   * @param directions vectors of the operator's dimension, one per row, none of them zero
   */
  public static double[] rayleighQuotients(CurvatureOperator operator, double[][] directions) {
    double[][] products = operator.applyAll(directions);
    double[] quotients = new double[directions.length];
    Arrays.setAll(
        quotients,
        i -> Vectors.dot(directions[i], products[i]) / Vectors.dot(directions[i], directions[i]));
    return quotients;
  }
}
