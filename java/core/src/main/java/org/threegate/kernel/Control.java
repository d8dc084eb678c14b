package org.threegate.kernel;

import org.threegate.buffer.NativeBuffer;

/**
 * Progress and cancellation of a running call, from any thread: {@code tg_control}.
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
        .putLong(Struct.CONTROL_SIZE, Struct.CONTROL)
        .putLong(Struct.CONTROL_CANCEL, 0)
        .putLong(Struct.CONTROL_DONE, 0)
        .putLong(Struct.CONTROL_TOTAL, 0);
  }

  public static Control open(Context context) {
    return new Control(context.allocate(Struct.CONTROL));
  }

  /**
   * Asks the running call, and every later one with this control, to stop with {@link
   * Status#CANCELLED}.
   */
  public void cancel() {
    struct.putInt(Struct.CONTROL_CANCEL, 1);
  }

  public boolean isCancelled() {
    return struct.getInt(Struct.CONTROL_CANCEL) != 0;
  }

  /** Units of work that the running call has finished. */
  public long done() {
    return struct.getLong(Struct.CONTROL_DONE);
  }

  /** Units of work of the running call. */
  public long total() {
    return struct.getLong(Struct.CONTROL_TOTAL);
  }

  NativeBuffer.Lease lease() {
    return struct.lease();
  }

  @Override
  public void close() {
    struct.close();
  }
}
