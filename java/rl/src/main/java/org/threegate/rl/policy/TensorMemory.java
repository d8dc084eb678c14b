package org.threegate.rl.policy;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/**
 * Gives kernels access to the memory of a tensor without a copy. Changes on either side are visible
 * on the other. The tensor must stay allocated until this object is closed.
 *
 * <pre>{@code
 * var weight = decoder.parameters().get("model.layers.0.mlp.up_proj.weight");
 * try (TensorMemory memory = TensorMemory.of(context, weight)) {
 *   System.out.println(memory.matrix().rows() + " rows");
 * }
 * }</pre>
 */
public final class TensorMemory implements AutoCloseable {
  private final NativeBuffer buffer;
  private final Matrix matrix;

  private TensorMemory(NativeBuffer buffer, Matrix matrix) {
    this.buffer = buffer;
    this.matrix = matrix;
  }

  /**
   * Wraps the memory of a tensor.
   *
   * @param context the context of the kernels
   * @param given a contiguous tensor in float32, float64, bfloat16 or float16. A vector becomes a
   *     matrix with one row
   * @return the wrapper, which the caller closes
   */
  public static TensorMemory of(Context context, Tensor given) {
    Tensor tensor = ModelDevice.onHost(given);
    Dtype dtype = dtype(tensor.scalar_type());
    if (!tensor.is_contiguous()) {
      throw new IllegalArgumentException("the tensor must be contiguous");
    }
    long rows = tensor.dim() < 2 ? 1 : tensor.size(0);
    long columns = rows == 0 ? 0 : tensor.numel() / rows;
    NativeBuffer buffer =
        context.wrap(tensor.data_ptr().address(), tensor.numel() * dtype.bytes(), tensor);
    return new TensorMemory(buffer, Matrix.of(buffer, dtype, rows, columns));
  }

  private static Dtype dtype(ScalarType type) {
    return switch (type.intern()) {
      case Float -> Dtype.F32;
      case Double -> Dtype.F64;
      case BFloat16 -> Dtype.BF16;
      case Half -> Dtype.F16;
      default ->
          throw new IllegalArgumentException(
              "unsupported dtype " + type + "; kernels need a floating-point type");
    };
  }

  /** {@return the memory as a matrix, which is valid until this object is closed} */
  public Matrix matrix() {
    return matrix;
  }

  /** {@return the memory as an operand, which is valid until this object is closed} */
  public Operand operand() {
    return Operand.of(matrix);
  }

  @Override
  public void close() {
    buffer.close();
  }
}
