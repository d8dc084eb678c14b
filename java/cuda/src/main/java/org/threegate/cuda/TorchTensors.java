package org.threegate.cuda;

import org.bytedeco.javacpp.Pointer;
import org.bytedeco.pytorch.Tensor;
import org.bytedeco.pytorch.global.torch.ScalarType;
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

  private static NativeBuffer buffer(Context context, Tensor tensor, long bytes) {
    Pointer data = tensor.data_ptr();
    long address = Pointer.isNull(data) ? 0 : data.address(); // an empty tensor may have none
    if (!tensor.is_cuda()) {
      return context.wrap(address, bytes, tensor);
    }
    requireDevice(context, tensor.device().index());
    return context.wrapOnDevice(address, bytes, tensor);
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
