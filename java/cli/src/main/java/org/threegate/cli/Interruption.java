package org.threegate.cli;

import java.io.IOException;
import java.io.PrintWriter;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.kernel.KernelException;
import org.threegate.kernel.Status;
import org.threegate.run.CancelledException;

/**
 * Handles Ctrl-C: cancels the running kernel, and waits until the command has removed its partial
 * output.
 */
final class Interruption {
  private static final long LONGEST_SECONDS = 30;

  private final CountDownLatch finished = new CountDownLatch(1);
  private final Thread hook;

  /**
   * Runs with a handler of Ctrl-C.
   *
   * @param control cancelled by Ctrl-C
   * @param advice text that follows "interrupted; "
   */
  static void guard(Control control, PrintWriter err, String advice, OutputPath.Writing body)
      throws IOException {
    Interruption interruption = new Interruption(control, err, advice);
    try {
      body.run();
    } finally {
      interruption.close();
    }
  }

  /** Measures on a context. */
  @FunctionalInterface
  interface Measuring {
    void run(Context context, Control control) throws IOException;
  }

  /** Opens a context and measures, with a handler of Ctrl-C. */
  static void measure(Supplier<Context> open, PrintWriter err, String advice, Measuring body)
      throws IOException {
    try (Context context = open.get();
        Control control = Control.open(context)) {
      guard(control, err, advice, () -> body.run(context, control));
    } catch (KernelException e) {
      if (e.status() == Status.CANCELLED) {
        throw new CancelledException();
      }
      throw e;
    }
  }

  private Interruption(Control control, PrintWriter err, String advice) {
    hook = new Thread(() -> interrupt(control, err, advice), "threegate-interrupt");
    Runtime.getRuntime().addShutdownHook(hook);
  }

  private void interrupt(Control control, PrintWriter err, String advice) {
    if (finished.getCount() == 0) {
      return;
    }
    control.cancel();
    try {
      if (finished.await(LONGEST_SECONDS, TimeUnit.SECONDS)) {
        err.println("\nthreegate: interrupted; " + advice);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }

  private void close() {
    finished.countDown();
    try {
      Runtime.getRuntime().removeShutdownHook(hook);
    } catch (IllegalStateException e) {
      // The JVM is shutting down, so that the hook is running.
      return;
    }
  }
}
