package org.threegate.cuda;

import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.javacpp.Pointer;
import org.threegate.buffer.NativeBuffer;
import org.threegate.kernel.Context;

/**
 * Uses streams and device memory of JavaCPP's presets.
 *
 * <pre>{@code
 * FloatPointer weights = new FloatPointer();
 * cudart.cudaMalloc(weights, 4096 * 4096 * Float.BYTES);
 * CUstream_st stream = new CUstream_st();
 * cudart.cudaStreamCreate(stream);
 * CudaPresets.follow(context, stream);
 * Matrix matrix =
 *     Matrix.of(CudaPresets.wrap(context, weights, 4096 * 4096 * Float.BYTES), Dtype.F32, 4096, 4096);
 * }</pre>
 */
public final class CudaPresets {
  private CudaPresets() {}

  /**
   * Makes later calls of a context wait for the work of a stream, which the caller keeps. {@link
   * TorchTensors#follow} does so for that of libtorch.
   *
   * @param context context of the device of the stream
   * @param stream a stream. The presets return null for the legacy default stream, which is
   *     accepted
   * @see Context#setStream
   */
  public static void follow(Context context, CUstream_st stream) {
    context.setStream(Pointer.isNull(stream) ? 0 : stream.address());
  }

  /**
   * Wraps device memory without a copy, from the position of the pointer on.
   *
   * @param context context of the device of the memory
   * @param memory pointer to device memory, which stays allocated as long as the buffer is used
   * @param bytes number of bytes
   * @return a buffer over the same memory, which only kernels reach
   * @throws IllegalArgumentException if the pointer is null or has a limit before the last byte
   */
  public static NativeBuffer wrap(Context context, Pointer memory, long bytes) {
    if (memory.isNull()) {
      throw new IllegalArgumentException("the pointer is null");
    }
    long skipped = memory.position() == 0 ? 0 : memory.position() * memory.sizeof();
    if (memory.limit() > 0 && bytes > memory.limit() * memory.sizeof() - skipped) {
      throw new IllegalArgumentException(
          "the pointer has "
              + (memory.limit() * memory.sizeof() - skipped)
              + " bytes, and "
              + bytes
              + " are wanted");
    }
    return context.wrapOnDevice(memory.address() + skipped, bytes, memory);
  }
}
