package org.threegate.kernel;

import java.util.List;
import org.threegate.spi.KernelBinding;

/**
 * BLAKE3 of ranges of native memory ({@code tg_blake3}), without a key. It is a tree: all threads
 * of the context work on one range. With AVX-512 a thread is more than twice as fast as with {@link
 * Sha256}.
 *
 * <pre>{@code
 * List<byte[]> digests = Blake3.of(context, List.of(new ByteRange(buffer, 0, buffer.bytes())), control);
 * }</pre>
 */
public final class Blake3 {
  private Blake3() {}

  /**
   * {@return a digest of 32 bytes for each range}
   *
   * @param context context that runs the kernel
   * @param ranges ranges of bytes
   * @param control cancels the call and reports its progress
   * @throws KernelException CANCELLED if the control was cancelled; IO if a mapped file was
   *     truncated
   */
  public static List<byte[]> of(Context context, List<ByteRange> ranges, Control control) {
    return RangeDigests.of(context, ranges, control, KernelBinding::blake3);
  }
}
