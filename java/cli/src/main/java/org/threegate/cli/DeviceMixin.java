package org.threegate.cli;

import java.io.PrintWriter;
import java.util.Locale;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import picocli.CommandLine.Option;

/** The option {@code --device} of commands that measure. */
final class DeviceMixin {
  enum Choice {
    CPU,
    CUDA,
    AUTO
  }

  @Option(
      names = "--device",
      paramLabel = "cpu|cuda|auto",
      defaultValue = "auto",
      description = {
        "Device that runs the kernels. auto uses CUDA if it is available, and otherwise reports the"
            + " reason and uses the CPU (default: ${DEFAULT-VALUE})."
      })
  private Choice choice = Choice.AUTO;

  /** Returns the choice as a command line writes it. */
  String choice() {
    return choice.name().toLowerCase(Locale.ROOT);
  }

  /**
   * Opens a context on the chosen device.
   *
   * @param threads number of threads; 0 for one on each processor
   * @param err receives the reason if {@code auto} uses the CPU
   * @throws KernelException with status UNSUPPORTED and the reason, if {@code cuda} was chosen and
   *     is not available
   */
  Context open(int threads, PrintWriter err) {
    if (choice == Choice.AUTO) {
      try {
        Capabilities machine = Capabilities.query();
        if (machine.cudaDevices() > 0) {
          return Context.open(Context.Device.CUDA, threads);
        }
        say(err, machine.cudaReason());
      } catch (KernelException e) {
        say(err, e.getMessage());
      }
    }
    return Context.open(choice == Choice.CUDA ? Context.Device.CUDA : Context.Device.CPU, threads);
  }

  /** Prints the reason on a terminal only, like progress. {@code doctor} always prints it. */
  private static void say(PrintWriter err, String reason) {
    if (ProgressBar.isTerminal()) {
      err.println("threegate: using the CPU: " + reason);
    }
  }
}
