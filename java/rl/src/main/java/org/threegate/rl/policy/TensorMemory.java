package org.threegate.rl.policy;

import org.bytedeco.pytorch.Tensor;
import org.threegate.cuda.TorchTensors;
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
  private final Matrix matrix;

  private TensorMemory(Matrix matrix) {
    this.matrix = matrix;
  }

  /**
   * Wraps the memory of a tensor, or that of a copy on the CPU if it lies on a GPU.
   *
   * @param context the context of the kernels
   * @param given a tensor, as {@link TorchTensors#matrix} takes it
   * @return the wrapper, which the caller closes
   */
  public static TensorMemory of(Context context, Tensor given) {
    return new TensorMemory(TorchTensors.matrix(context, ModelDevice.onHost(given)));
  }

  /**
   * Wraps the memory of a tensor where it lies, for kernels that run on the device of the context.
   * A tensor that the context does not reach is copied to the CPU.
   *
   * @param context the context of the kernels
   * @param given a tensor, as {@link TorchTensors#matrix} takes it
   * @return the wrapper, which the caller closes
   */
  public static TensorMemory inPlace(Context context, Tensor given) {
    return TorchTensors.reaches(context, given)
        ? new TensorMemory(TorchTensors.matrix(context, given))
        : of(context, given);
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
    matrix.buffer().close();
  }
}
