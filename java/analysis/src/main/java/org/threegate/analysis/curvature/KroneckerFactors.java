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
 * K-FAC's factors of a linear layer, A = XᵀX/N and B = GᵀG/N: their Kronecker product stands in for
 * the layer's Fisher information (Martens and Grosse, arXiv 1503.05671), and their eigenvectors say
 * which directions of inputs and outputs matter.
 *
 * <pre>{@code
 * LayerSamples part =
 *     new LayerSamples(
 *         Matrix.of(buffer, Dtype.F32, 100, 16), Matrix.of(buffer, 6400, Dtype.F32, 100, 8));
 * KroneckerFactors factors = KroneckerFactors.of(context, List.of(part), control);
 * Estimate trace = Traces.hutchinson(factors.operator(context, control), 10, 1, Progress.NONE);
 * }</pre>
 *
 * @param inputs n
 * @param outputs m
 * @param ofInputs A, n x n, row by row
 * @param ofGradients B, m x m
 */
public record KroneckerFactors(int inputs, int outputs, double[] ofInputs, double[] ofGradients) {
  /** The factors of all tokens of some parts of a sample. */
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

  /** V to B V A, for V row by row. Products in float32, as those of samples. */
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
        // B and A are their own transposes.
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

  /** leftᵀ right, both with {@code rows} rows. */
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
          Matrix.of(numbers, 0, Dtype.F64, rows, leftColumns),
          new double[0],
          Matrix.of(numbers, 8L * left.length, Dtype.F64, rows, rightColumns),
          result,
          control);
    }
  }

  /** The leading eigenvectors of A, as rows, with their eigenvalues. */
  public TruncatedSvd.Result inputEigenvectors(Context context, int count, double tolerance) {
    return eigenvectors(context, ofInputs, inputs, count, tolerance);
  }

  /** The leading eigenvectors of B, as rows, with their eigenvalues. */
  public TruncatedSvd.Result gradientEigenvectors(Context context, int count, double tolerance) {
    return eigenvectors(context, ofGradients, outputs, count, tolerance);
  }

  static TruncatedSvd.Result eigenvectors(
      Context context, double[] factor, int size, int count, double tolerance) {
    try (NativeBuffer entries = context.allocate(8L * factor.length)) {
      entries.putDoubles(0, factor);
      Operand matrix = Operand.of(Matrix.of(entries, Dtype.F64, size, size));
      // Neither has a negative eigenvalue: singular triplets are eigenpairs.
      return TruncatedSvd.of(context, TruncatedSvd.Request.of(matrix, count, tolerance));
    }
  }
}
