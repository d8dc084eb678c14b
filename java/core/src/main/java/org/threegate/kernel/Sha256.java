package org.threegate.kernel;

import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/**
 * SHA-256 of ranges of native memory ({@code tg_sha256}). Four ranges in one call take little more
 * than half the time of four calls.
 *
 * <pre>{@code
 * List<byte[]> digests = Sha256.of(context, List.of(new Sha256.Range(buffer, 0, buffer.bytes())), control);
 * }</pre>
 */
public final class Sha256 {
  private static final int DIGEST_BYTES = 32;

  private Sha256() {}

  /**
   * A range of bytes in a buffer.
   *
   * @param buffer buffer with the bytes
   * @param offset position of the first byte
   * @param bytes number of bytes
   */
  public record Range(NativeBuffer buffer, long offset, long bytes) {
    /** Checks the components. */
    public Range {
      Objects.checkFromIndexSize(offset, bytes, buffer.bytes());
    }
  }

  /**
   * {@return a digest of 32 bytes for each range}
   *
   * @param context context that runs the kernel
   * @param ranges ranges of bytes
   * @param control cancels the call and reports its progress
   * @throws KernelException CANCELLED if the control was cancelled; IO if a mapped file was
   *     truncated
   */
  public static List<byte[]> of(Context context, List<Range> ranges, Control control) {
    List<Range> all = List.copyOf(ranges);
    int count = all.size();
    try (Context.Call call = control.begin(context);
        NativeBuffer structs =
            context.allocate((long) count * (Structs.Span.SIZEOF + DIGEST_BYTES));
        Operand.Leases leases = new Operand.Leases()) {
      NativeBuffer.Lease own = structs.lease();
      leases.add(own);
      for (int i = 0; i < count; i++) {
        Range range = all.get(i);
        NativeBuffer.Lease lease = range.buffer().lease();
        leases.add(lease);
        structs
            .putLong(
                (long) i * Structs.Span.SIZEOF + Structs.Span.DATA,
                range.bytes() == 0 ? 0 : lease.address() + range.offset())
            .putLong((long) i * Structs.Span.SIZEOF + Structs.Span.BYTES, range.bytes());
      }
      long digests = (long) count * Structs.Span.SIZEOF;
      call.run(
          unused ->
              context
                  .binding()
                  .sha256(
                      context.handle(),
                      own.address(),
                      count,
                      call.control(),
                      own.address() + digests));
      List<byte[]> result = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        result.add(structs.getBytes(digests + (long) i * DIGEST_BYTES, DIGEST_BYTES));
      }
      return result;
    }
  }
}
