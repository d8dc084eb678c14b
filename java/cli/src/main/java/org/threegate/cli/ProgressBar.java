package org.threegate.cli;

import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Locale;
import org.threegate.kernel.Control;
import org.threegate.run.PrintableText;
import org.threegate.run.Progress;

/**
 * Shows progress as a line on standard error, which is redrawn ten times per second. Shows nothing
 * if standard error is not a terminal.
 */
final class ProgressBar implements Progress, AutoCloseable {
  private static final int WIDTH = 24;
  private static final long PERIOD_MILLIS = 100;
  private static final double GIGA = 1e9;
  private static final String CLEAR = "\r\u001b[K";

  record State(String what, long done, long total) {}

  private final Control control;
  private final boolean bytes;
  private final PrintStream out = System.err;
  private final long start = System.nanoTime();
  private final boolean visible = isTerminal();
  private final Thread painter = new Thread(this::paint, "threegate-progress");
  private volatile State state = new State("", 0, 0);
  private volatile boolean open = true;

  /**
   * Starts to show progress.
   *
   * @param control shows nothing once this is cancelled
   * @param bytes whether the amount of work is in bytes
   */
  ProgressBar(Control control, boolean bytes) {
    this.control = control;
    this.bytes = bytes;
    if (visible) {
      painter.setDaemon(true);
      painter.start();
    }
  }

  /** Returns whether standard error is a terminal. */
  static boolean isTerminal() {
    return isTerminal(2);
  }

  /** Returns whether a file descriptor of this process is a terminal. */
  static boolean isTerminal(int descriptor) {
    try {
      String target = Path.of("/proc/self/fd/" + descriptor).toRealPath().toString();
      return target.startsWith("/dev/pts/")
          || target.startsWith("/dev/tty")
          || target.equals("/dev/console");
    } catch (IOException e) {
      return false;
    }
  }

  @Override
  public void at(String what, long done, long total) {
    state = new State(what, done, total);
  }

  private void paint() {
    while (open) {
      out.print(
          CLEAR
              + (control.isCancelled()
                  ? ""
                  : line(state, (System.nanoTime() - start) * 1e-9, bytes)));
      out.flush();
      try {
        Thread.sleep(PERIOD_MILLIS);
      } catch (InterruptedException e) {
        return;
      }
    }
  }

  static String line(State now, double seconds, boolean bytes) {
    if (now.total() == 0) {
      return "";
    }
    double fraction = Math.min(1, now.done() / (double) now.total());
    double rate = now.done() / Math.max(seconds, 1e-9);
    String eta = now.done() == 0 ? "--:--" : time((now.total() - now.done()) / rate);
    int filled = (int) Math.round(WIDTH * fraction);
    return String.format(
        Locale.ROOT,
        "[%s%s] %3.0f %%  %sETA %s  %.40s",
        "#".repeat(filled),
        " ".repeat(WIDTH - filled),
        100 * fraction,
        bytes
            ? String.format(
                Locale.ROOT,
                "%.1f of %.1f GB  %.1f GB/s  ",
                now.done() / GIGA,
                now.total() / GIGA,
                rate / GIGA)
            : "",
        eta,
        PrintableText.name(now.what()));
  }

  private static String time(double seconds) {
    long whole = Math.round(seconds);
    return String.format(Locale.ROOT, "%02d:%02d", whole / 60, whole % 60);
  }

  @Override
  public void close() {
    open = false;
    if (visible) {
      painter.interrupt();
      try {
        painter.join();
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
      out.print(CLEAR);
      out.flush();
    }
  }
}
