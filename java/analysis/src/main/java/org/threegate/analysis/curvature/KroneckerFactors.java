package org.threegate.analysis.curvature;

import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.LayerSamples;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;
import org.threegate.kernel.TokenProducts;
import org.threegate.kernel.TruncatedSvd;

/**
 * K-FAC factors of a linear layer, A = XᵀX/N and B = GᵀG/N. Their Kronecker product approximates
 * the Fisher information of the layer (Martens and Grosse, arXiv 1503.05671). Their eigenvectors
 * show which input and output directions matter.
 *
 * <pre>{@code
 * LayerSamples part =
 *     new LayerSamples(
 *         Matrix.of(buffer, Dtype.F32, 100, 16), Matrix.of(buffer, Dtype.F32, 100, 8).at(6400));
 * KroneckerFactors factors = KroneckerFactors.of(context, List.of(part), control);
 * Estimate trace = Traces.hutchinson(factors.operator(context, control), 10, 1, Progress.NONE);
 * }</pre>
 *
 * @param inputs number n of inputs
 * @param outputs number m of outputs
 * @param ofInputs A, n x n in row-major order
 * @param ofGradients B, m x m in row-major order
 */
public record KroneckerFactors(int inputs, int outputs, double[] ofInputs, double[] ofGradients) {
  /** Copies the arrays. */
  public KroneckerFactors {
    ofInputs = ofInputs.clone();
    ofGradients = ofGradients.clone();
  }

  /** {@return a copy of A, in row-major order} */
  @Override
  public double[] ofInputs() {
    return ofInputs.clone();
  }

  /** {@return a copy of B, in row-major order} */
  @Override
  public double[] ofGradients() {
    return ofGradients.clone();
  }

  /**
   * Computes the factors from all tokens of the parts of a sample.
   *
   * @param context context that runs the kernels
   * @param parts parts of one sample, with any number of tokens each
   * @param control cancels the computation
   * @return the factors
   */
  public static KroneckerFactors of(Context context, List<LayerSamples> parts, Control control) {
    LayerSamples first = LayerFisher.firstOf(parts);
    int inputs = Math.toIntExact(first.inputs());
    int outputs = Math.toIntExact(first.outputs());
    double[] ofInputs = new double[Math.multiplyExact(inputs, inputs)];
    double[] ofGradients = new double[Math.multiplyExact(outputs, outputs)];
    long tokens = 0;
    for (LayerSamples part : parts) {
      part.addInputProducts(context, ofInputs, control);
      part.addGradientProducts(context, ofGradients, control);
      tokens += part.tokens();
    }
    Vectors.scale(ofInputs, 1.0 / tokens);
    Vectors.scale(ofGradients, 1.0 / tokens);
    return new KroneckerFactors(inputs, outputs, ofInputs, ofGradients);
  }

  /**
   * {@return the operator V ↦ B V A for row-major V} Products are computed in float32, like those
   * of samples.
   *
   * @param context context that runs the products
   * @param control cancels the products
   */
  public CurvatureOperator operator(Context context, Control control) {
    int dimension = Math.multiplyExact(inputs, outputs);
    return new CurvatureOperator() {
      @Override
      public int dimension() {
        return dimension;
      }

      @Override
      public void apply(double[] vector, double[] product) {
        double[] half = new double[dimension];
        // A and B are symmetric.
        multiply(context, ofGradients, outputs, outputs, vector, inputs, half, control);
        double[] transposed = transpose(half, outputs, inputs);
        double[] result = new double[dimension];
        multiply(context, ofInputs, inputs, inputs, transposed, outputs, result, control);
        System.arraycopy(transpose(result, inputs, outputs), 0, product, 0, dimension);
      }
    };
  }

  private static double[] transpose(double[] entries, int rows, int columns) {
    double[] result = new double[entries.length];
    for (int i = 0; i < rows; i++) {
      for (int j = 0; j < columns; j++) {
        result[j * rows + i] = entries[i * columns + j];
      }
    }
    return result;
  }

  /** Computes leftᵀ right; both have {@code rows} rows. */
  private static void multiply(
      Context context,
      double[] left,
      int rows,
      int leftColumns,
      double[] right,
      int rightColumns,
      double[] result,
      Control control) {
    try (NativeBuffer numbers = context.allocate(8L * (left.length + right.length))) {
      numbers.putDoubles(0, left).putDoubles(8L * left.length, right);
      TokenProducts.add(
          context,
          TokenProducts.Factors.of(
              Matrix.of(numbers, Dtype.F64, rows, leftColumns),
              Matrix.of(numbers, Dtype.F64, rows, rightColumns).at(8L * left.length)),
          result,
          control);
    }
  }

  /**
   * {@return the leading eigenvectors of A as rows (count x n), with their eigenvalues}
   *
   * @param context context that runs the decomposition
   * @param count number of eigenvectors, from 1 to n
   * @param tolerance relative tolerance of the decomposition
   */
  public TruncatedSvd.Result inputEigenvectors(Context context, int count, double tolerance) {
    return eigenvectors(context, ofInputs, inputs, count, tolerance);
  }

  /**
   * {@return the leading eigenvectors of B as rows (count x m), with their eigenvalues}
   *
   * @param context context that runs the decomposition
   * @param count number of eigenvectors, from 1 to m
   * @param tolerance relative tolerance of the decomposition
   */
  public TruncatedSvd.Result gradientEigenvectors(Context context, int count, double tolerance) {
    return eigenvectors(context, ofGradients, outputs, count, tolerance);
  }

  static TruncatedSvd.Result eigenvectors(
      Context context, double[] factor, int size, int count, double tolerance) {
    try (NativeBuffer entries = context.allocate(8L * factor.length)) {
      entries.putDoubles(0, factor);
      Operand matrix = Operand.of(Matrix.of(entries, Dtype.F64, size, size));
      // Both factors are positive semidefinite, so singular triplets are eigenpairs.
      return TruncatedSvd.of(context, TruncatedSvd.Request.of(matrix, count, tolerance));
    }
  }
}
