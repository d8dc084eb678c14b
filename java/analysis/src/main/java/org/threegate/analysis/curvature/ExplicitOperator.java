package org.threegate.analysis.curvature;

/**
 * An operator with explicit entries, for tests and small models.
 *
 * <pre>{@code
 * CurvatureOperator matrix = new ExplicitOperator(new double[] {2, 1, 1, 3}, 2);
 * double[] product = new double[2];
 * matrix.apply(new double[] {1, 0}, product);
 * }</pre>
 *
 * @param entries symmetric matrix in row-major order, length dimension · dimension
 * @param dimension number of rows
 */
public record ExplicitOperator(double[] entries, int dimension) implements CurvatureOperator {
  /**
   * Validates the entries.
   *
   * @throws IllegalArgumentException if their number is wrong or the matrix is not symmetric
   */
  public ExplicitOperator {
    entries = entries.clone();
    if (entries.length != Math.multiplyExact(dimension, dimension)) {
      throw new IllegalArgumentException(
          entries.length + " entries for " + dimension + " x " + dimension);
    }
    for (int i = 0; i < dimension; i++) {
      for (int j = 0; j < i; j++) {
        if (entries[i * dimension + j] != entries[j * dimension + i]) {
          throw new IllegalArgumentException("entries (" + i + ", " + j + ") are not symmetric");
        }
      }
    }
  }

  /** {@return a copy of the entries, in row-major order} */
  @Override
  public double[] entries() {
    return entries.clone();
  }

  @Override
  public void apply(double[] vector, double[] product) {
    for (int i = 0; i < dimension; i++) {
      double sum = 0;
      for (int j = 0; j < dimension; j++) {
        sum += entries[i * dimension + j] * vector[j];
      }
      product[i] = sum;
    }
  }
}
