package org.threegate.kernel;

import java.nio.channels.AsynchronousCloseException;
import java.nio.channels.spi.AbstractInterruptibleChannel;
import org.threegate.buffer.NativeBuffer;
import org.threegate.spi.Structs;

/**
 * Cancels a call when the thread that runs it is interrupted. The thread that interrupts does this
 * itself, through the hook that the JDK has for interruptible channels. So no thread has to watch.
 *
 * <p>After an interrupt the object is spent, as a channel is closed then.
 */
final class Interruption extends AbstractInterruptibleChannel {
  private final NativeBuffer control;
  private boolean over;

  /**
   * Prepares calls of one context.
   *
   * @param control the {@code tg_control} of the calls
   */
  Interruption(NativeBuffer control) {
    this.control = control;
  }

  /** Begins a call of this thread. If the thread is interrupted already, the call is cancelled. */
  void beginCall() {
    begin();
  }

  /** Ends the call. Returns whether another call can use this object. */
  boolean endCall() {
    boolean spent = false;
    try {
      end(true);
    } catch (AsynchronousCloseException e) {
      // The call's status tells what became of it. The thread stays interrupted.
      spent = true;
    }
    if (spent || !isOpen()) {
      discard();
      return false;
    }
    return true;
  }

  /** Newer JDKs may close the channel a little later, when another call uses the control. */
  private synchronized void discard() {
    over = true;
  }

  @Override
  protected synchronized void implCloseChannel() {
    if (!over) {
      control.putInt(Structs.CONTROL_CANCEL, 1);
    }
  }
}
