package org.threegate.rl.policy;

import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/**
 * A tensor's memory as the kernels see it: without a copy, so that what moves there moves here. The
 * tensor has to stay where it is until this is closed.
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
   * @param given without gaps, float32, float64, bf16 or f16; a vector is one row
   */
  public static TensorMemory of(Context context, Tensor given) {
    Tensor tensor = ModelDevice.onHost(given);
    Dtype dtype = dtype(tensor.scalar_type());
    if (!tensor.is_contiguous()) {
      throw new IllegalArgumentException("a tensor with gaps");
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
          throw new IllegalArgumentException("a tensor of " + type + "; kernels know floats");
    };
  }

  public Matrix matrix() {
    return matrix;
  }

  public Operand operand() {
    return Operand.of(matrix);
  }

  @Override
  public void close() {
    buffer.close();
  }
}
