package org.threegate.kernel;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.threegate.loading.Bindings;
import org.threegate.spi.KernelBinding;

/**
 * What this machine offers to the kernels, and why it does not offer more.
 *
 * @param version of the native library
 * @param cpu model name
 * @param simd {@code scalar}, {@code avx2} or {@code avx512}: what the CPU kernels use
 * @param simdReason why no higher level is used; empty when the highest is
 * @param cudaDevices usable CUDA devices
 * @param cudaReason why there is none; empty when there is one
 * @param blas name and version of the BLAS library
 * @param cuda name, compute capability and memory of the first CUDA device; empty when there is
 *     none
 */
public record Capabilities(
    String version,
    String cpu,
    int hardwareThreads,
    long memoryBytes,
    String simd,
    String simdReason,
    int cudaDevices,
    String cudaReason,
    String blas,
    String cuda) {
  private static final String[] SIMD = {"scalar", "avx2", "avx512"};

  /** Asks the native library. */
  public static Capabilities query() {
    KernelBinding binding = Bindings.get();
    ByteBuffer struct =
        ByteBuffer.allocateDirect(Struct.CAPABILITIES).order(ByteOrder.LITTLE_ENDIAN);
    struct.putLong(Struct.CAPABILITIES_SIZE, Struct.CAPABILITIES);
    int status = binding.capabilitiesQuery(binding.addressOf(struct));
    if (status != 0) {
      throw new KernelException(
          Status.of(status),
          "cannot query the machine; is THREEGATE_SIMD scalar, avx2 or avx512, and no more than it has?");
    }
    return new Capabilities(
        text(struct, Struct.CAPABILITIES_VERSION),
        text(struct, Struct.CAPABILITIES_CPU),
        struct.getInt(Struct.CAPABILITIES_HARDWARE_THREADS),
        struct.getLong(Struct.CAPABILITIES_MEMORY_BYTES),
        SIMD[struct.getInt(Struct.CAPABILITIES_SIMD)],
        text(struct, Struct.CAPABILITIES_SIMD_REASON),
        struct.getInt(Struct.CAPABILITIES_CUDA_DEVICES),
        text(struct, Struct.CAPABILITIES_CUDA_REASON),
        text(struct, Struct.CAPABILITIES_BLAS),
        text(struct, Struct.CAPABILITIES_CUDA));
  }

  /** A zero-terminated string at an offset. */
  static String text(ByteBuffer buffer, int offset) {
    int end = offset;
    while (end < buffer.capacity() && buffer.get(end) != 0) {
      end++;
    }
    byte[] bytes = new byte[end - offset];
    buffer.get(offset, bytes);
    return new String(bytes, StandardCharsets.UTF_8);
  }
}
