package org.threegate.rl.policy;

import java.util.Optional;
import org.bytedeco.pytorch.Tensor;
import org.threegate.cuda.TorchTensors;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;
import org.threegate.kernel.Operand;

/**
 * Gives kernels access to the memory of a tensor where it lies, without a copy. On the CPU, changes
 * on either side are visible on the other.
 *
 * <p>Kernels that run on a GPU read a tensor there, after the work of libtorch that changes it.
 * Kernels that run on the CPU read a copy on the host. It is made when the first of them needs it,
 * and lives until this object is closed. The tensor must not change meanwhile.
 *
 * <p>The memory stays allocated until this object is closed, also if the tensor is freed or gets
 * other memory before.
 *
 * <pre>{@code
 * var weight = decoder.parameters().get("model.layers.0.mlp.up_proj.weight");
 * try (TensorMemory memory = TensorMemory.of(context, weight)) {
 *   System.out.println(memory.matrix().rows() + " rows");
 * }
 * }</pre>
 */
public final class TensorMemory implements AutoCloseable {
  private final Tensor held;
  private final Matrix matrix;

  private TensorMemory(Tensor held, Matrix matrix) {
    this.held = held;
    this.matrix = matrix;
  }

  /**
   * Wraps the memory of a tensor. If it lies on a GPU that the context does not reach, all kernels
   * read a copy on the host.
   *
   * @param context the context of the kernels
   * @param given a tensor, as {@link TorchTensors#matrix} takes it
   * @return the wrapper, which the caller closes
   */
  public static TensorMemory of(Context context, Tensor given) {
    Optional<DevicePlace> place = ModelDevice.placeOf(given);
    boolean reached =
        context.device() == Context.Device.CUDA && TorchTensors.reaches(context, given);
    boolean there = place.isPresent() && reached;
    // A second tensor of the same memory, which no scope frees.
    Tensor held = Scopes.own(() -> there ? given.detach() : ModelDevice.onHost(given).detach());
    try {
      if (there) {
        place.get().follow(context);
        return new TensorMemory(held, TorchTensors.matrix(context, held, place.get()::copyToHost));
      }
      return new TensorMemory(held, TorchTensors.matrix(context, held));
    } catch (RuntimeException | Error e) {
      held.close();
      throw e;
    }
  }

  /** {@return the memory as a matrix, which is valid until this object is closed} */
  public Matrix matrix() {
    return matrix;
  }

  /** {@return the memory as an operand, which is valid until this object is closed} */
  public Operand operand() {
    return Operand.of(matrix);
  }

  /**
   * Lets go of the memory.
   *
   * @throws IllegalStateException if a kernel uses it
   */
  @Override
  public void close() {
    matrix.buffer().close();
    held.close();
  }
}
