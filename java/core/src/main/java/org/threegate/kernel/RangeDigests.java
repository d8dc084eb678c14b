package org.threegate.kernel;

import java.util.ArrayList;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.KernelBinding;
import org.threegate.spi.Structs;

/** Calls functions that compute digests of 32 bytes of ranges. */
final class RangeDigests {
  private static final int DIGEST_BYTES = 32;

  private RangeDigests() {}

  /** A function of the library. */
  @FunctionalInterface
  interface Function {
    int call(
        KernelBinding binding, long context, long spans, long count, long control, long digests);
  }

  /** Returns the digests of the ranges, in their order. */
  static List<byte[]> of(
      Context context, List<ByteRange> ranges, Control control, Function function) {
    List<ByteRange> all = List.copyOf(ranges);
    int count = all.size();
    try (Context.Call call = control.begin(context);
        NativeBuffer structs =
            context.allocate((long) count * (Structs.SPAN_SIZEOF + DIGEST_BYTES));
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      NativeBuffer.Lease own = structs.lease();
      leases.add(own);
      for (int i = 0; i < count; i++) {
        ByteRange range = all.get(i);
        NativeBuffer.Lease lease = range.buffer().lease();
        leases.add(lease);
        structs
            .putLong(
                (long) i * Structs.SPAN_SIZEOF + Structs.SPAN_DATA,
                range.bytes() == 0 ? 0 : lease.address() + range.offset())
            .putLong((long) i * Structs.SPAN_SIZEOF + Structs.SPAN_BYTES, range.bytes());
      }
      long digests = (long) count * Structs.SPAN_SIZEOF;
      call.run(
          unused ->
              function.call(
                  context.binding(),
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
