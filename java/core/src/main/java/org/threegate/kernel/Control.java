package org.threegate.kernel;

import java.util.ArrayList;
import java.util.List;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/**
 * Cancels running calls and reports their progress, from any thread ({@code tg_control}).
 *
 * <p>An interrupt of the thread that runs a call cancels that call only, also one without a
 * control. The call throws a {@link KernelException} with {@link Status#CANCELLED}, and the thread
 * stays interrupted.
 *
 * <pre>{@code
 * try (Control control = Control.open(context)) {
 *   Runtime.getRuntime().addShutdownHook(new Thread(control::cancel));
 *   Sha256.of(context, List.of(new ByteRange(buffer, 0, buffer.bytes())), control);
 *   System.out.println(control.done() + " of " + control.total());
 * }
 * }</pre>
 */
public final class Control implements AutoCloseable {
  // The native code reads and writes the struct of each call. All fields are guarded by this.
  private final List<NativeBuffer> running = new ArrayList<>(1);
  private boolean cancelled;
  private boolean closed;
  private long done;
  private long total;

  private Control() {}

  /**
   * Opens a control for calls of any context.
   *
   * @param context an open context
   * @return the control, which the caller closes
   */
  public static Control open(Context context) {
    context.requireOpen();
    return new Control();
  }

  /**
   * Cancels the running calls and every later call with this control. They fail with {@link
   * Status#CANCELLED}.
   */
  public synchronized void cancel() {
    requireOpen();
    cancelled = true;
    running.forEach(struct -> struct.putInt(Structs.CONTROL_CANCEL, 1));
  }

  /** {@return whether {@link #cancel} was called} */
  public synchronized boolean isCancelled() {
    requireOpen();
    return cancelled;
  }

  /** {@return the finished units of work of the running calls, or of the last one} */
  public synchronized long done() {
    return progress(Structs.CONTROL_DONE, done);
  }

  /** {@return all units of work of the running calls, or of the last one} */
  public synchronized long total() {
    return progress(Structs.CONTROL_TOTAL, total);
  }

  private long progress(int field, long last) {
    requireOpen();
    return running.isEmpty()
        ? last
        : running.stream().mapToLong(struct -> struct.getLong(field)).sum();
  }

  /** Reserves a context for one operation that this controls. */
  Context.Call begin(Context context) {
    Context.Call call = context.begin();
    try {
      begin(call.controlStruct());
      call.atEnd(new End(call.controlStruct()));
      return call;
    } catch (RuntimeException | Error e) {
      call.close();
      throw e;
    }
  }

  /** Ends an operation. A lambda would delay the first call of a program by some milliseconds. */
  private final class End implements Runnable {
    private final NativeBuffer struct;

    End(NativeBuffer struct) {
      this.struct = struct;
    }

    @Override
    public void run() {
      end(struct);
    }
  }

  private synchronized void begin(NativeBuffer struct) {
    requireOpen();
    running.add(struct);
    if (cancelled) {
      struct.putInt(Structs.CONTROL_CANCEL, 1);
    }
  }

  private synchronized void end(NativeBuffer struct) {
    running.remove(struct);
    done = struct.getLong(Structs.CONTROL_DONE);
    total = struct.getLong(Structs.CONTROL_TOTAL);
  }

  private void requireOpen() {
    if (closed) {
      throw new IllegalStateException("the control is closed");
    }
  }

  /**
   * Closes the control. A second close has no effect.
   *
   * @throws IllegalStateException if a call uses it
   */
  @Override
  public synchronized void close() {
    if (!running.isEmpty()) {
      throw new IllegalStateException("the control is in use by a running call");
    }
    closed = true;
  }
}
