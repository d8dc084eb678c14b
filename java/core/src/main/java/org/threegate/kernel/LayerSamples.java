package org.threegate.kernel;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * Inputs and output gradients of a linear layer y = W x ({@code tg_layer_samples}). Each row
 * belongs to one of N tokens. Gradients of log-likelihoods give the Fisher information if the model
 * sampled the labels, and the empirical Fisher information if the labels come from data.
 *
 * @param input inputs, N x n
 * @param gradient gradients with respect to the outputs, N x m
 *     <pre>{@code
 * LayerSamples samples =
 *     new LayerSamples(
 *         Matrix.of(buffer, Dtype.BF16, 100, 64), Matrix.of(buffer, Dtype.BF16, 100, 32).at(12800));
 * Operand weight = Operand.of(Matrix.of(buffer, Dtype.BF16, 32, 64).at(19200));
 * LayerSamples.Slopes slopes = samples.slopes(context, List.of(Direction.of(weight)), control);
 * double[] along = slopes.normalised(0);
 * }</pre>
 */
public record LayerSamples(Matrix input, Matrix gradient) {
  /**
   * Checks the numbers of tokens.
   *
   * @throws IllegalArgumentException if the numbers of rows differ, or are too large for an array
   */
  public LayerSamples {
    if (input.rows() != gradient.rows()) {
      throw new IllegalArgumentException(
          gradient.rows() + " gradients for " + input.rows() + " inputs");
    }
    Sizes.length(input.rows());
  }

  /** {@return the number of tokens, N} */
  public int tokens() {
    return (int) input.rows();
  }

  /** {@return the number of inputs of the layer, n} */
  public long inputs() {
    return input.columns();
  }

  /** {@return the number of outputs of the layer, m} */
  public long outputs() {
    return gradient.columns();
  }

  /**
   * Derivatives of each token's objective along directions.
   *
   * @param slopes derivatives by direction and token
   * @param squares squared Frobenius norms of the directions
   */
  public record Slopes(double[][] slopes, double[] squares) {
    /** Copies the arrays. */
    public Slopes {
      if (slopes.length != squares.length) {
        throw new IllegalArgumentException(
            slopes.length + " arrays of slopes and " + squares.length + " squared norms");
      }
      slopes = copy(slopes);
      squares = squares.clone();
    }

    private static double[][] copy(double[][] arrays) {
      return Arrays.stream(arrays).map(double[]::clone).toArray(double[][]::new);
    }

    /** {@return a copy of the arrays} */
    @Override
    public double[][] slopes() {
      return copy(slopes);
    }

    /** {@return a copy of the array} */
    @Override
    public double[] squares() {
      return squares.clone();
    }

    /**
     * {@return the slopes along one direction}
     *
     * @param direction index of the direction
     */
    public double[] along(int direction) {
      return slopes[direction].clone();
    }

    /**
     * {@return the slopes along a direction scaled to norm 1; zeros if its norm is 0}
     *
     * @param direction index of the direction
     */
    public double[] normalised(int direction) {
      double length = Math.sqrt(squares[direction]);
      double[] result = slopes[direction].clone();
      for (int i = 0; i < result.length && length > 0; i++) {
        result[i] /= length;
      }
      return result;
    }
  }

  /**
   * {@return the slope of every token along every direction ({@code tg_layer_slopes})} The mean of
   * the squares is the quadratic form of the layer's Fisher information.
   *
   * @param context context that runs the kernel
   * @param given directions of the shape of the layer
   * @param control cancels the call and reports its progress
   */
  public Slopes slopes(Context context, List<? extends Direction> given, Control control) {
    List<Direction> directions = List.copyOf(given);
    int count = directions.size();
    int tokens = tokens();
    long directionsAt = Structs.LAYER_SAMPLES_SIZEOF;
    long workspaceAt = directionsAt + (long) count * Structs.DIRECTION_SIZEOF;
    long[] detailAt = new long[count];
    long at = workspaceAt + Workspace.STRUCT_BYTES;
    for (int i = 0; i < count; i++) {
      detailAt[i] = at;
      at += DirectionStruct.detailBytes(directions.get(i));
    }
    KernelBinding binding = context.binding();
    List<NativeBuffer> masks = new ArrayList<>();
    try (Context.Call call = control.begin(context);
        NativeBuffer structs = context.allocate(at);
        NativeBuffer out = context.allocate(Sizes.product(8L * count, tokens + 1L));
        Operand.Leases leases = new Operand.Leases(context)) {
      long address = leases.take(structs);
      structs.putLong(Structs.LAYER_SAMPLES_SIZE, Structs.LAYER_SAMPLES_SIZEOF);
      Operand.writeMatrix(input, structs, Structs.LAYER_SAMPLES_INPUT, leases);
      Operand.writeMatrix(gradient, structs, Structs.LAYER_SAMPLES_GRADIENT, leases);
      for (int i = 0; i < count; i++) {
        long own = directionsAt + (long) i * Structs.DIRECTION_SIZEOF;
        DirectionStruct.write(context, directions.get(i), structs, own, detailAt[i], leases, masks);
      }
      long slopesAddress = leases.take(out);
      Workspace.use(
          context,
          call,
          structs,
          workspaceAt,
          size ->
              binding.layerSlopesWorkspace(
                  context.handle(), address, address + directionsAt, count, size),
          workspace ->
              binding.layerSlopes(
                  context.handle(),
                  address,
                  address + directionsAt,
                  count,
                  call.control(),
                  workspace,
                  slopesAddress,
                  slopesAddress + 8L * count * tokens));
      double[][] slopes = new double[count][];
      for (int i = 0; i < count; i++) {
        slopes[i] = out.getDoubles(8L * i * tokens, tokens);
      }
      return new Slopes(slopes, out.getDoubles(8L * count * tokens, count));
    } finally {
      masks.forEach(NativeBuffer::close);
    }
  }

  /**
   * Adds the sum over tokens of weight · gradient · inputᵀ ({@code tg_token_products}). If the
   * weights are slopes along V, the sum is N times the Fisher information times V.
   *
   * @param context context that runs the kernel
   * @param weights one for each token
   * @param products m x n, row by row
   * @param control cancels the call and reports its progress
   */
  public void addProducts(Context context, double[] weights, double[] products, Control control) {
    TokenProducts.add(
        context, new TokenProducts.Factors(gradient, weights, input), products, control);
  }

  /**
   * Adds the sum over tokens of input · inputᵀ, n x n, which is N times a factor of K-FAC.
   *
   * @param context context that runs the kernel
   * @param products sums, row by row, to add to
   * @param control cancels the call and reports its progress
   */
  public void addInputProducts(Context context, double[] products, Control control) {
    TokenProducts.add(context, TokenProducts.Factors.of(input, input), products, control);
  }

  /**
   * Adds the sum over tokens of gradient · gradientᵀ, m x m, which is N times the other factor of
   * K-FAC.
   *
   * @param context context that runs the kernel
   * @param products sums, row by row, to add to
   * @param control cancels the call and reports its progress
   */
  public void addGradientProducts(Context context, double[] products, Control control) {
    TokenProducts.add(context, TokenProducts.Factors.of(gradient, gradient), products, control);
  }
}
