package org.threegate.kernel;

import java.util.Objects;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Constants;
import org.threegate.spi.Structs;

/**
 * XXH3 with 128 bits, computed in parts ({@code tg_xxh3_update}). It is as fast as memory can be
 * read. It detects accidental changes, but not forgeries.
 *
 * <pre>{@code
 * try (Xxh3 checksum = Xxh3.begin(context)) {
 *   Xxh3.update(context, checksum.part(buffer, 0, 1000), checksum.part(buffer, 1000, 24));
 *   byte[] digest = checksum.digest();
 * }
 * }</pre>
 */
public final class Xxh3 implements AutoCloseable {
  private static final int DIGEST_BYTES = 16;

  private final Context context;
  private final NativeBuffer state; // and a digest after it

  /**
   * Bytes to add to a checksum.
   *
   * @param checksum checksum to add to
   * @param buffer buffer with the bytes
   * @param offset position of the first byte
   * @param bytes number of bytes
   */
  public record Part(Xxh3 checksum, NativeBuffer buffer, long offset, long bytes) {
    /** Checks the components. */
    public Part {
      Objects.checkFromIndexSize(offset, bytes, buffer.bytes());
    }
  }

  private Xxh3(Context context, NativeBuffer state) {
    this.context = context;
    this.state = state;
  }

  /**
   * Begins a checksum.
   *
   * @param context context that runs the kernel
   * @return the checksum, which the caller closes
   */
  public static Xxh3 begin(Context context) {
    NativeBuffer state = context.allocate(Constants.XXH3_STATE_BYTES + DIGEST_BYTES);
    state.fill(0, Constants.XXH3_STATE_BYTES, (byte) 0);
    return new Xxh3(context, state);
  }

  /**
   * {@return bytes to add to this checksum}
   *
   * @param buffer buffer with the bytes
   * @param offset position of the first byte
   * @param bytes number of bytes
   */
  public Part part(NativeBuffer buffer, long offset, long bytes) {
    return new Part(this, buffer, offset, bytes);
  }

  /**
   * Adds parts to their checksums. Different checksums are updated in parallel.
   *
   * @param context context that runs the kernel
   * @param given parts, each of another checksum
   */
  public static void update(Context context, Part... given) {
    Part[] parts = given.clone();
    try (Context.Call call = context.begin();
        NativeBuffer structs = context.allocate((long) parts.length * Structs.XXH3_PART_SIZEOF);
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(structs);
      for (int i = 0; i < parts.length; i++) {
        long at = (long) i * Structs.XXH3_PART_SIZEOF;
        structs
            .putLong(at + Structs.XXH3_PART_STATE, leases.take(parts[i].checksum().state))
            .putLong(
                at + Structs.XXH3_PART_DATA, leases.take(parts[i].buffer()) + parts[i].offset())
            .putLong(at + Structs.XXH3_PART_BYTES, parts[i].bytes());
      }
      call.run(unused -> context.binding().xxh3Update(context.handle(), address, parts.length));
    }
  }

  /** Returns the address of the state. The leases keep it. */
  long state(Operand.Leases leases) {
    return leases.take(state);
  }

  /** {@return the digest of all bytes so far, 16 bytes} More bytes may be added afterwards. */
  public byte[] digest() {
    try (Context.Call call = context.begin();
        Operand.Leases leases = Operand.Leases.onProcessor(context)) {
      long address = leases.take(state);
      call.run(
          unused ->
              context
                  .binding()
                  .xxh3Digest(context.handle(), address, address + Constants.XXH3_STATE_BYTES));
      return state.getBytes(Constants.XXH3_STATE_BYTES, DIGEST_BYTES);
    }
  }

  @Override
  public void close() {
    state.close();
  }
}
