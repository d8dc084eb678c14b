package org.threegate.analysis.curvature;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.CommonOps_DDRM;
import org.threegate.run.Progress;

/**
 * Traces and norms of operators from products with random signs.
 *
 * <pre>{@code
 * CurvatureOperator matrix = new ExplicitOperator(new double[] {2, 1, 1, 3}, 2);
 * Estimate plain = Traces.hutchinson(matrix, 100, 1, Progress.NONE);
 * Estimate better = Traces.hutchPlusPlus(matrix, 30, 1, Progress.NONE);
 * Estimate norm = Traces.frobeniusNorm(matrix, 100, 1, Progress.NONE);
 * }</pre>
 */
public final class Traces {
  // Of the largest part that a new direction brought: less is rounding.
  private static final double NEGLIGIBLE = 1e-12;

  private Traces() {}

  /**
   * zᵀHz of random signs z (Hutchinson, Communications in Statistics 19(2), 1990): unbiased, with
   * the variance of the entries beside the diagonal.
   */
  public static Estimate hutchinson(
      CurvatureOperator operator, int samples, long seed, Progress progress) {
    return Estimate.of(quadraticForms(operator, 0, samples, seed, progress));
  }

  /**
   * Samples {@code from} to before {@code to} of {@link #hutchinson}: a run in parts gives what a
   * single one gives.
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

  /** The root of the sum of squared entries, from |Hz|². */
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
   * Hutch++ (Meyer, Musco, Musco and Woodruff, SOSA 2021): the trace in the directions that a third
   * of the products finds is exact, and signs sample the rest. The error is that of the rest.
   *
   * @param products with the operator in all, 6 at least
   */
  public static Estimate hutchPlusPlus(
      CurvatureOperator operator, int products, long seed, Progress progress) {
    int each = products / 3;
    if (each < 2) {
      throw new IllegalArgumentException(products + " products; 6 at least are needed");
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
   * XTrace (Epperly, Tropp and Webber, SIAM J. Matrix Anal. Appl. 45(1), 2024): every sign vector
   * samples what the directions that all others found leave over, so that no product serves one
   * purpose alone.
   *
   * @param products with the operator in all, 4 at least
   */
  public static Estimate xTrace(
      CurvatureOperator operator, int products, long seed, Progress progress) {
    int count = products / 2;
    if (count < 2) {
      throw new IllegalArgumentException(products + " products; 4 at least are needed");
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
      // The directions span the operator's range: nothing is left over.
      return new Estimate(inside, 0, count);
    }
    return Estimate.of(leaveOneOut(signs, images, basis, basisImages, triangle, inside));
  }

  /** The estimate of each sign vector with the directions that the others found. */
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
      throw new IllegalStateException("the directions of a trace are dependent");
    }
    double[] estimates = new double[count];
    for (int i = 0; i < count; i++) {
      // In the basis: the direction that only image i brought is row i of the inverse.
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

  /** vᵀHv / vᵀv of each direction. */
  public static double[] rayleighQuotients(CurvatureOperator operator, double[][] directions) {
    double[][] products = operator.applyAll(directions);
    double[] quotients = new double[directions.length];
    Arrays.setAll(
        quotients,
        i -> Vectors.dot(directions[i], products[i]) / Vectors.dot(directions[i], directions[i]));
    return quotients;
  }
}
