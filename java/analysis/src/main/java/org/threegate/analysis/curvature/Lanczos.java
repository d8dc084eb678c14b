package org.threegate.analysis.curvature;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import org.ejml.data.DMatrixRMaj;
import org.ejml.dense.row.factory.DecompositionFactory_DDRM;
import org.ejml.interfaces.decomposition.EigenDecomposition_F64;
import org.threegate.run.Progress;

/**
 * Extreme eigenvalues of an operator by Lanczos' method with full reorthogonalisation (Golub and
 * Van Loan, Matrix Computations, section 10.1). It goes on where it stopped: ask for more steps.
 *
 * <pre>{@code
 * CurvatureOperator matrix = new ExplicitOperator(new double[] {2, 1, 1, 3}, 2);
 * Lanczos lanczos = Lanczos.start(matrix, 1);
 * lanczos.extend(2, Progress.NONE);
 * Lanczos.Result found = lanczos.result(1);
 * System.out.println(found.values()[0] + " to " + found.residuals()[0]);
 * }</pre>
 */
public final class Lanczos {
  private static final double NEGLIGIBLE =
      1e-14; // of the operator's size: what is left is rounding

  private final CurvatureOperator operator;
  private final List<double[]> basis = new ArrayList<>();
  private final List<Double> diagonal = new ArrayList<>();
  private final List<Double> beside = new ArrayList<>();
  private boolean exhausted;

  private Lanczos(CurvatureOperator operator, double[] start) {
    this.operator = operator;
    Vectors.scale(start, 1 / Vectors.norm(start));
    basis.add(start);
  }

  /** Begins with a random direction. */
  public static Lanczos start(CurvatureOperator operator, long seed) {
    if (operator.dimension() < 1) {
      throw new IllegalArgumentException("an operator of dimension " + operator.dimension());
    }
    SplittableRandom random = Vectors.random(seed, 0);
    double[] start = new double[operator.dimension()];
    for (int i = 0; i < start.length; i++) {
      start[i] = random.nextDouble() + random.nextDouble() + random.nextDouble() - 1.5;
    }
    return new Lanczos(operator, start);
  }

  /** Begins with a given direction. */
  static Lanczos start(CurvatureOperator operator, double[] direction) {
    return new Lanczos(operator, direction.clone());
  }

  /** Takes more steps, each one product, until there is nothing left to find. */
  public void extend(int steps, Progress progress) {
    for (int i = 0; i < steps && !exhausted; i++) {
      progress.at("", i, steps);
      double[] last = basis.get(basis.size() - 1);
      double[] next = new double[last.length];
      operator.apply(last, next);
      double size = Vectors.norm(next);
      if (!Double.isFinite(size)) {
        throw new IllegalStateException("the operator gave a product that is not finite");
      }
      double[] parts = Vectors.orthogonalise(next, basis);
      diagonal.add(parts[parts.length - 1]);
      double rest = Vectors.norm(next);
      beside.add(rest);
      exhausted = basis.size() == last.length || rest <= NEGLIGIBLE * Math.max(size, largest());
      if (!exhausted) {
        Vectors.scale(next, 1 / rest);
        basis.add(next);
      }
    }
  }

  private double largest() {
    return diagonal.stream().mapToDouble(Math::abs).max().orElse(0);
  }

  /**
   * Ritz values, descending.
   *
   * @param residuals |H v − value v| of each: an eigenvalue lies within it
   * @param weights how much of the first direction lies along each: they add up to 1
   * @param vectors those of the largest values, as many as were asked for
   */
  public record Result(
      double[] values, double[] residuals, double[] weights, List<double[]> vectors) {}

  /**
   * @param vectors how many eigenvectors are wanted
   */
  public Result result(int vectors) {
    int count = diagonal.size();
    if (count == 0) {
      throw new IllegalStateException("no steps were taken");
    }
    DMatrixRMaj small = new DMatrixRMaj(count, count);
    for (int i = 0; i < count; i++) {
      small.set(i, i, diagonal.get(i));
      if (i > 0) {
        small.set(i, i - 1, beside.get(i - 1));
        small.set(i - 1, i, beside.get(i - 1));
      }
    }
    EigenDecomposition_F64<DMatrixRMaj> eigen = DecompositionFactory_DDRM.eig(count, true, true);
    if (!eigen.decompose(small)) {
      throw new IllegalStateException("the small eigenvalue problem did not converge");
    }
    Integer[] order =
        IntStream.range(0, count)
            .boxed()
            .sorted(Comparator.comparingDouble(i -> -eigen.getEigenvalue(i).real))
            .toArray(Integer[]::new);
    double last = exhausted ? 0 : beside.get(count - 1);
    double[] values = new double[count];
    double[] residuals = new double[count];
    double[] weights = new double[count];
    List<double[]> wanted = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      DMatrixRMaj vector = eigen.getEigenVector(order[i]);
      values[i] = eigen.getEigenvalue(order[i]).real;
      residuals[i] = Math.abs(last * vector.get(count - 1));
      weights[i] = vector.get(0) * vector.get(0);
      if (i < vectors) {
        double[] full = new double[operator.dimension()];
        for (int k = 0; k < count; k++) {
          Vectors.add(full, vector.get(k), basis.get(k));
        }
        wanted.add(full);
      }
    }
    double all = Arrays.stream(weights).sum();
    Vectors.scale(weights, 1 / all);
    return new Result(values, residuals, weights, List.copyOf(wanted));
  }
}
