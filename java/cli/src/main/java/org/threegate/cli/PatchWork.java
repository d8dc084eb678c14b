package org.threegate.cli;

import java.io.IOException;
import java.io.PrintWriter;
import org.threegate.kernel.Context;
import org.threegate.kernel.Control;
import org.threegate.run.CancelledException;
import org.threegate.run.Progress;
import picocli.CommandLine.Model.CommandSpec;

/** Runs the work of a patch command, with a progress bar, until it ends or Ctrl-C cancels it. */
final class PatchWork {
  private PatchWork() {}

  /** Works on patches. */
  @FunctionalInterface
  interface Work {
    void run(Context context, Progress progress) throws IOException;
  }

  /** Runs work on all processors. */
  static void run(CommandSpec spec, Work work) throws IOException {
    run(spec, 0, work);
  }

  /**
   * Runs work.
   *
   * @param threads number of threads; 0 for one on each processor
   */
  static void run(CommandSpec spec, int threads, Work work) throws IOException {
    Interruption.measure(
        () -> Context.open(Context.Device.CPU, threads),
        spec.commandLine().getErr(),
        "nothing was written",
        (context, control) -> {
          try (ProgressBar bar = new ProgressBar(control, true)) {
            work.run(context, progress(control, bar));
          }
        });
  }

  private static Progress progress(Control control, ProgressBar bar) {
    return (tensor, done, total) -> {
      if (control.isCancelled()) {
        throw new CancelledException();
      }
      bar.at(tensor, done, total);
    };
  }

  /** Prints a line of the result. */
  static void print(CommandSpec spec, String line) {
    PrintWriter out = spec.commandLine().getOut();
    out.println(line);
    out.flush();
  }
}
