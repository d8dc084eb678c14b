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
 * Extreme eigenvalues of an operator by the Lanczos method with full reorthogonalization (Golub and
 * Van Loan, Matrix Computations, section 10.1). Call {@link #extend} again to continue with more
 * steps.
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
      1e-14; // relative to the norm of the operator; below is rounding

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

  /**
   * Starts from a random direction.
   *
   * @param operator symmetric operator
   * @param seed seed of the direction
   * @return a process that has taken no step
   */
  public static Lanczos start(CurvatureOperator operator, long seed) {
    if (operator.dimension() < 1) {
      throw new IllegalArgumentException(
          "invalid dimension of the operator: " + operator.dimension());
    }
    SplittableRandom random = Vectors.random(seed, 0);
    double[] start = new double[operator.dimension()];
    for (int i = 0; i < start.length; i++) {
      start[i] = random.nextDouble() + random.nextDouble() + random.nextDouble() - 1.5;
    }
    return new Lanczos(operator, start);
  }

  /** Starts from a given direction. */
  static Lanczos start(CurvatureOperator operator, double[] direction) {
    return new Lanczos(operator, direction.clone());
  }

  /**
   * Takes more steps, with one product each. Stops early if the Krylov space is exhausted.
   *
   * @param steps number of steps to add
   * @param progress receives the steps that are done
   */
  public void extend(int steps, Progress progress) {
    for (int i = 0; i < steps && !exhausted; i++) {
      progress.at("", i, steps);
      double[] last = basis.get(basis.size() - 1);
      double[] next = new double[last.length];
      operator.apply(last, next);
      double size = Vectors.norm(next);
      if (!Double.isFinite(size)) {
        throw new IllegalStateException("the operator returned a non-finite product");
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
   * Ritz values in descending order.
   *
   * @param values Ritz values, which approximate eigenvalues
   * @param residuals |H v − value v| of each Ritz pair; an eigenvalue lies within this distance
   * @param weights squared component of the first direction along each Ritz vector; the sum is 1
   * @param vectors Ritz vectors of the largest values, as many as requested
   */
  public record Result(
      double[] values, double[] residuals, double[] weights, List<double[]> vectors) {
    /** Copies the arrays. */
    public Result {
      values = values.clone();
      residuals = residuals.clone();
      weights = weights.clone();
      vectors = vectors.stream().map(double[]::clone).toList();
    }

    /** {@return a copy of the Ritz values, descending} */
    @Override
    public double[] values() {
      return values.clone();
    }

    /** {@return a copy of the residuals, one per Ritz value} */
    @Override
    public double[] residuals() {
      return residuals.clone();
    }

    /** {@return a copy of the weights, one per Ritz value} */
    @Override
    public double[] weights() {
      return weights.clone();
    }

    /** {@return copies of the Ritz vectors, each of the operator's dimension} */
    @Override
    public List<double[]> vectors() {
      return vectors.stream().map(double[]::clone).toList();
    }
  }

  /**
   * {@return the Ritz values of the steps so far}
   *
   * @param vectors number of eigenvectors to compute
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
      throw new IllegalStateException("the tridiagonal eigenvalue problem did not converge");
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
