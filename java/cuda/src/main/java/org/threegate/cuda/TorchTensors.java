package org.threegate.cuda;

import java.util.function.BiConsumer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerScope;
import org.bytedeco.pytorch.LongOptional;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.TensorOptions;
import org.bytedeco.pytorch.global.torch;
import org.bytedeco.pytorch.global.torch.ScalarType;
import org.bytedeco.pytorch.global.torch_cuda;
import org.threegate.buffer.NativeBuffer;
import org.threegate.dtype.Dtype;
import org.threegate.kernel.Context;
import org.threegate.kernel.Matrix;

/**
 * Gives kernels the memory of libtorch's tensors, on the CPU or on a CUDA device, without a copy.
 *
 * <pre>{@code
 * Matrix weight = TorchTensors.matrix(context, tensor);
 * Bf16Diff.Result same = Bf16Diff.compare(context, Operand.of(weight), Operand.of(weight));
 * }</pre>
 */
public final class TorchTensors {
  private TorchTensors() {}

  /**
   * {@return whether kernels of a context reach a tensor: it lies on the CPU, or on the device of
   * the context}
   *
   * @param context context of the kernels
   * @param tensor a tensor
   */
  public static boolean reaches(Context context, Tensor tensor) {
    return !tensor.is_cuda() || reaches(context, tensor.device().index());
  }

  private static boolean reaches(Context context, int index) {
    return context.device() == Context.Device.CUDA && context.deviceIndex() == index;
  }

  /**
   * Wraps the memory of a tensor. Changes on either side are visible on the other.
   *
   * @param context context of the kernels, of the device of the tensor if that is a CUDA device
   * @param tensor a dense tensor of a floating-point type with contiguous rows. A vector becomes a
   *     matrix with one row, and the dimensions after the first become columns. It stays allocated
   *     as long as the matrix is used
   * @return the memory as a matrix. Only kernels reach that of a CUDA device
   * @throws IllegalArgumentException if the context does not reach the tensor, or if kernels cannot
   *     read its dtype or layout
   */
  public static Matrix matrix(Context context, Tensor tensor) {
    Dtype dtype = dtype(tensor.scalar_type());
    if (tensor.is_sparse()) {
      throw new IllegalArgumentException("the tensor is sparse");
    }
    long rows = tensor.dim() < 2 ? 1 : tensor.size(0);
    long columns = rows == 0 ? 0 : tensor.numel() / rows;
    long rowStride = columns;
    if (!tensor.is_contiguous()) {
      rowStride = tensor.dim() == 2 && tensor.stride(1) == 1 ? tensor.stride(0) : 0;
      if (rowStride < columns) {
        throw new IllegalArgumentException("the rows of the tensor must be contiguous");
      }
    }
    long elements = columns == 0 ? 0 : (rows - 1) * rowStride + columns;
    NativeBuffer buffer = buffer(context, tensor, elements * dtype.bytes());
    return new Matrix(buffer, 0, dtype, rows, columns, rowStride);
  }

  /**
   * Wraps the memory of a tensor on the device of a context. Kernels that run on the device read it
   * there. The first kernel that runs on the CPU makes a copy on the host, and later ones use it.
   *
   * @param context context of the device of the tensor
   * @param tensor a tensor, as {@link #matrix(Context, Tensor)} takes it. It does not change as
   *     long as the matrix is used
   * @param copy writes the second tensor, which is on the device, to the first one, which is on the
   *     CPU, and returns when it is there: {@code Tensor::copy_}
   * @return the memory as a matrix. Closing its buffer frees the copy
   * @throws IllegalArgumentException as {@link #matrix(Context, Tensor)} does
   */
  public static Matrix matrix(Context context, Tensor tensor, BiConsumer<Tensor, Tensor> copy) {
    Matrix there = matrix(context, tensor);
    long address = data(tensor);
    NativeBuffer buffer =
        context.wrapOnDevice(
            address, there.buffer().bytes(), tensor, () -> copied(context, tensor, there, copy));
    return new Matrix(buffer, 0, there.dtype(), there.rows(), there.columns(), there.rowStride());
  }

  /** Copies all bytes of a matrix, with those between its rows, so that the copy has its layout. */
  @SuppressWarnings("try")
  private static NativeBuffer copied(
      Context context, Tensor tensor, Matrix there, BiConsumer<Tensor, Tensor> copy) {
    NativeBuffer host = context.allocate(there.buffer().bytes());
    try (NativeBuffer.Lease lease = host.leaseForOutput();
        PointerScope scope = new PointerScope()) {
      long[] elements = {host.bytes() / there.dtype().bytes()};
      if (elements[0] > 0) {
        Tensor all =
            tensor
                .detach()
                .as_strided(elements, new long[] {1}, new LongOptional(tensor.storage_offset()));
        Pointer memory =
            new Pointer() {
              {
                address = lease.address();
              }
            };
        copy.accept(
            torch.from_blob(memory, elements, new TensorOptions(tensor.scalar_type())), all);
      }
      return host;
    } catch (RuntimeException | Error e) {
      host.close();
      throw e;
    }
  }

  /**
   * Makes later calls of a context wait for the work of libtorch: for what its current stream on
   * the device of the context has when they begin.
   *
   * @param context context of a CUDA device that libtorch uses, too
   */
  @SuppressWarnings("try")
  public static void follow(Context context) {
    try (PointerScope scope = new PointerScope()) {
      CudaPresets.follow(
          context, torch_cuda.getCurrentCUDAStream((byte) context.deviceIndex()).stream());
    }
  }

  /**
   * {@return the free bytes of a CUDA device} Memory that libtorch keeps for later is not free.
   *
   * @param index number of the device, from 0
   */
  @SuppressWarnings("try")
  public static long freeBytes(int index) {
    try (PointerScope scope = new PointerScope()) {
      return torch_cuda.getAllocator().getMemoryInfo((byte) index).first();
    }
  }

  private static NativeBuffer buffer(Context context, Tensor tensor, long bytes) {
    long address = data(tensor);
    if (!tensor.is_cuda()) {
      return context.wrap(address, bytes, tensor);
    }
    requireDevice(context, tensor.device().index());
    return context.wrapOnDevice(address, bytes, tensor);
  }

  /** Returns the address of the first element. An empty tensor may have none. */
  private static long data(Tensor tensor) {
    Pointer data = tensor.data_ptr();
    return Pointer.isNull(data) ? 0 : data.address();
  }

  static void requireDevice(Context context, int index) {
    if (!reaches(context, index)) {
      throw new IllegalArgumentException(
          "the tensor lies on cuda:"
              + index
              + ", and the context is one of "
              + (context.device() == Context.Device.CPU
                  ? "the CPU"
                  : "cuda:" + context.deviceIndex()));
    }
  }

  private static Dtype dtype(ScalarType type) {
    return switch (type.intern()) {
      case Float -> Dtype.F32;
      case Double -> Dtype.F64;
      case BFloat16 -> Dtype.BF16;
      case Half -> Dtype.F16;
      case Float8_e4m3fn -> Dtype.F8_E4M3;
      case Float8_e5m2 -> Dtype.F8_E5M2;
      default ->
          throw new IllegalArgumentException(
              "unsupported dtype " + type + "; kernels need a floating-point type");
    };
  }
}
