package org.threegate.cli;

import java.io.PrintWriter;
import java.util.Locale;
import org.threegate.kernel.Capabilities;
import org.threegate.kernel.Context;
import org.threegate.kernel.KernelException;
import picocli.CommandLine.Option;

/** {@code --device}. */
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
        "where kernels run: auto (default) is cuda where it works; else it says why and runs on the"
            + " CPU"
      })
  private Choice choice = Choice.AUTO;

  /** As it is written on a command line. */
  String choice() {
    return choice.name().toLowerCase(Locale.ROOT);
  }

  /**
   * A context of the chosen device.
   *
   * @param err where people are told that and why {@code auto} does without CUDA
   * @throws KernelException UNSUPPORTED, with the reason, where {@code cuda} was asked for
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

  /** To people, as progress is; {@code doctor} says it to everyone. */
  private static void say(PrintWriter err, String reason) {
    if (ProgressBar.isTerminal()) {
      err.println("threegate: on the CPU: " + reason);
    }
  }
}
