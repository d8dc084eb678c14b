package org.threegate.kernel;

import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/**
 * Cancels a running call and reports its progress, from any thread ({@code tg_control}).
 *
 * <pre>{@code
 * try (Control control = Control.open(context)) {
 *   Runtime.getRuntime().addShutdownHook(new Thread(control::cancel));
 *   Sha256.of(context, List.of(new Sha256.Range(buffer, 0, buffer.bytes())), control);
 *   System.out.println(control.done() + " of " + control.total());
 * }
 * }</pre>
 */
public final class Control implements AutoCloseable {
  private final NativeBuffer struct;

  private Control(NativeBuffer struct) {
    this.struct = struct;
    struct
        .putLong(Structs.Control.SIZE, Structs.Control.SIZEOF)
        .putLong(Structs.Control.CANCEL, 0)
        .putLong(Structs.Control.DONE, 0)
        .putLong(Structs.Control.TOTAL, 0);
  }

  public static Control open(Context context) {
    return new Control(context.allocate(Structs.Control.SIZEOF));
  }

  /**
   * Cancels the running call and every later call with this control. They fail with {@link
   * Status#CANCELLED}.
   */
  public void cancel() {
    struct.putInt(Structs.Control.CANCEL, 1);
  }

  public boolean isCancelled() {
    return struct.getInt(Structs.Control.CANCEL) != 0;
  }

  /** Returns the finished units of work of the running call. */
  public long done() {
    return struct.getLong(Structs.Control.DONE);
  }

  /** Returns all units of work of the running call. */
  public long total() {
    return struct.getLong(Structs.Control.TOTAL);
  }

  NativeBuffer.Lease lease() {
    return struct.lease();
  }

  @Override
  public void close() {
    struct.close();
  }
}
