package org.threegate.kernel;

import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * Sums of outer products over tokens, LᵀR, of two matrices with one row for each token ({@code
 * tg_token_products}). Products of 512 tokens are formed in float32 and summed in float64.
 *
 * <pre>{@code
 * Matrix left = Matrix.of(buffer, Dtype.F32, 100, 4);
 * Matrix right = Matrix.of(buffer, Dtype.F32, 100, 3).at(1600);
 * double[] sums = new double[4 * 3];
 * TokenProducts.add(context, TokenProducts.Factors.of(left, right), sums, control);
 * }</pre>
 */
public final class TokenProducts {
  private TokenProducts() {}

  /**
   * Two matrices with one row for each token.
   *
   * @param left rows of the left factors
   * @param weights one for each token, or an empty array for equal weights of 1
   * @param right rows of the right factors
   */
  public record Factors(Matrix left, double[] weights, Matrix right) {
    private static final double[] NO_WEIGHTS = {};

    /** Copies the weights. */
    public Factors {
      weights = weights.clone();
    }

    /**
     * {@return factors with equal weights of 1}
     *
     * @param left left factor
     * @param right right factor
     */
    public static Factors of(Matrix left, Matrix right) {
      return new Factors(left, NO_WEIGHTS, right);
    }

    /** {@return a copy of the array} */
    @Override
    public double[] weights() {
      return weights.clone();
    }
  }

  /**
   * Adds the products to {@code sums}.
   *
   * @param context context that runs the kernel
   * @param factors the two matrices and their weights
   * @param sums left.columns x right.columns, row by row
   * @param control cancels the call and reports its progress
   */
  public static void add(Context context, Factors factors, double[] sums, Control control) {
    Matrix left = factors.left();
    Matrix right = factors.right();
    double[] weights = factors.weights();
    long count = Sizes.product(left.columns(), right.columns());
    if (sums.length != count) {
      throw new IllegalArgumentException(
          sums.length + " sums for " + left.columns() + " x " + right.columns());
    }
    if (weights.length != 0 && weights.length != left.rows()) {
      throw new IllegalArgumentException(
          weights.length + " weights for " + left.rows() + " tokens");
    }
    long rightAt = Structs.MATRIX_SIZEOF;
    long workspaceAt = rightAt + Structs.MATRIX_SIZEOF;
    KernelBinding binding = context.binding();
    try (Context.Call call = control.begin(context);
        NativeBuffer structs = context.allocate(workspaceAt + Workspace.STRUCT_BYTES);
        NativeBuffer numbers = context.allocate(8 * (count + weights.length));
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      Operand.writeMatrix(left, structs, 0, leases);
      Operand.writeMatrix(right, structs, rightAt, leases);
      long sumsAddress = leases.take(numbers);
      numbers.putDoubles(0, sums);
      numbers.putDoubles(8 * count, weights);
      long weightsAddress = weights.length == 0 ? 0 : sumsAddress + 8 * count;
      Workspace.use(
          context,
          call,
          structs,
          workspaceAt,
          size ->
              binding.tokenProductsWorkspace(context.handle(), address, address + rightAt, size),
          workspace ->
              binding.tokenProducts(
                  context.handle(),
                  address,
                  weightsAddress,
                  address + rightAt,
                  call.control(),
                  workspace,
                  sumsAddress));
      System.arraycopy(numbers.getDoubles(0, count), 0, sums, 0, sums.length);
    }
  }
}
