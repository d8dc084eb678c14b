package org.threegate.kernel;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import org.threegate.loading.Bindings;
import org.threegate.spi.Constants;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/**
 * The processors and libraries that the kernels can use on this machine.
 *
 * @param version version of the native library
 * @param cpu model name of the processor
 * @param hardwareThreads threads that the process may use
 * @param memoryBytes physical memory in bytes
 * @param simd instruction set of the CPU kernels: {@code scalar}, {@code avx2}, {@code avx512} or
 *     {@code neon}
 * @param simdReason why no better instruction set is used; "" if the best one is
 * @param cudaDevices number of usable CUDA devices
 * @param cudaReason why no CUDA device is usable; "" if one is
 * @param blas name and version of the BLAS library
 * @param cuda name, compute capability and memory of the first CUDA device; "" if there is none
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
  /**
   * Queries the native library.
   *
   * @return what this machine can use
   */
  public static Capabilities query() {
    KernelBinding binding = Bindings.get();
    ByteBuffer struct =
        ByteBuffer.allocateDirect(Structs.CAPABILITIES_SIZEOF).order(ByteOrder.LITTLE_ENDIAN);
    struct.putLong(Structs.CAPABILITIES_SIZE, Structs.CAPABILITIES_SIZEOF);
    int status = binding.capabilitiesQuery(binding.addressOf(struct));
    if (status != 0) {
      throw new KernelException(
          Status.of(status),
          "cannot query the machine; is THREEGATE_SIMD a level that it has: scalar, avx2 or avx512 on"
              + " x86-64, scalar or neon on AArch64?");
    }
    return new Capabilities(
        text(struct, Structs.CAPABILITIES_VERSION),
        text(struct, Structs.CAPABILITIES_CPU),
        struct.getInt(Structs.CAPABILITIES_HARDWARE_THREADS),
        struct.getLong(Structs.CAPABILITIES_MEMORY_BYTES),
        simd(struct.getInt(Structs.CAPABILITIES_SIMD)),
        text(struct, Structs.CAPABILITIES_SIMD_REASON),
        struct.getInt(Structs.CAPABILITIES_CUDA_DEVICES),
        text(struct, Structs.CAPABILITIES_CUDA_REASON),
        text(struct, Structs.CAPABILITIES_BLAS),
        text(struct, Structs.CAPABILITIES_CUDA));
  }

  private static String simd(int level) {
    return switch (level) {
      case Constants.SIMD_SCALAR -> "scalar";
      case Constants.SIMD_AVX2 -> "avx2";
      case Constants.SIMD_AVX512 -> "avx512";
      case Constants.SIMD_NEON -> "neon";
      default -> throw new IllegalStateException("no SIMD level has the code " + level);
    };
  }

  /** Returns the zero-terminated string at an offset. */
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
